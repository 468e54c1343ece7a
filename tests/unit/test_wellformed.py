"""The check of a message's form: what was well formed once passes by its types, and nothing else does."""

import json
from types import SimpleNamespace

import pytest
from celery.exceptions import InvalidTaskError

from gristmill.worker import wellformed
from gristmill.worker.wellformed import DEPTH, check

HEADERS = {
    "lang": "py", "task": "known", "id": "1", "shadow": None, "eta": None, "expires": None, "group": None,
    "retries": 0, "timelimit": [None, None], "root_id": "1", "parent_id": None, "argsrepr": "()", "kwargsrepr": "{}",
    "origin": "here", "ignore_result": False, "replaced_task_nesting": 0, "stamped_headers": None, "stamps": {},
}  # fmt: skip
PROPERTIES = {"correlation_id": "1", "priority": 0, "delivery_info": {"exchange": "", "routing_key": "q"}}
BODY = [[], {}, {"callbacks": None, "chord": None}]


def nested(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


def message(headers=None, properties=None, body=BODY):
    return SimpleNamespace(
        headers={**HEADERS, **(headers or {})},
        properties={**PROPERTIES, **(properties or {})},
        body=json.dumps(body).encode(),
        payload=body,
    )


@pytest.fixture(autouse=True)
def usual():
    """The types of HEADERS are known, and no others."""
    wellformed._usual.clear()
    check(message(), ["known"])
    assert len(wellformed._usual) == 1


WRONG = {
    "a type": (message({"id": 1}), "invalid header id: int"),
    "a number that is text": (message({"retries": "0"}), "invalid header retries: str"),
    "too many limits": (message({"timelimit": [1, 2, 3]}), "invalid header timelimit"),
    "a limit of another type": (message({"timelimit": ["1", None]}), "invalid header timelimit"),
    "stamps that nest": (message({"stamps": {"a": nested(DEPTH)}}), "invalid headers: nested too deeply"),
    "limits that nest": (message({"timelimit": nested(DEPTH)}), "invalid headers: nested too deeply"),
    "properties that nest": (message(properties={"more": nested(DEPTH)}), "invalid headers: nested too deeply"),
    "a route that nests": (
        message(properties={"delivery_info": {"routing_key": nested(DEPTH)}}),
        "invalid headers: nested too deeply",
    ),
    "arguments that nest": (message(body=[nested(DEPTH), {}, {}]), "invalid body: nested too deeply"),
    "arguments of another type": (message(body=[{}, {}, {}]), "invalid arguments: dict"),
    "options of another type": (message(body=[[], {}, []]), "invalid options: list"),
    "a body that is too short": (message(body=[[], {}]), "invalid body"),
    "a body of another type": (message(body="text"), "invalid body"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_malformed_message_is_refused_beside_others_of_its_types(name):
    wrong, reason = WRONG[name]
    for _ in range(2):
        with pytest.raises(InvalidTaskError) as caught:
            check(wrong, ["known"])
        assert str(caught.value).startswith(reason)
    check(message(), ["known"])


def test_limits_and_stamps_of_a_message_pass():
    check(message({"timelimit": [10, None], "stamps": {"tenant": "x"}, "stamped_headers": ["tenant"]}), ["known"])


def test_headers_above_a_body_of_protocol_1_say_nothing_about_others():
    body = {"id": "1", "task": "known", "args": [], "kwargs": {}}
    headers = {name: value for name, value in HEADERS.items() if name != "id"}
    one = SimpleNamespace(headers=headers, properties=PROPERTIES, body=json.dumps(body).encode(), payload=body)
    other = SimpleNamespace(headers=headers, properties=PROPERTIES, body=json.dumps(BODY).encode(), payload=BODY)
    check(one, ["known"])
    with pytest.raises(InvalidTaskError, match="header id"):
        check(other, ["known"])


def test_a_body_of_protocol_1_passes_below_headers_whose_types_are_known():
    check(message(body={"args": [], "kwargs": {}}), ["known"])


def test_of_an_unknown_task_only_the_name_is_checked():
    check(message(body="text"), [])
    with pytest.raises(InvalidTaskError, match="header task"):
        check(message({"task": 1}), [])


def test_a_worker_remembers_few_types():
    for number in range(500):
        check(message({f"x{number}": ""}), ["known"])
    check(message({"x" * 10_000: ""}), ["known"])
    assert len(wellformed._usual) == 100
    assert max(sum(len(name) for name in kinds if isinstance(name, str)) for kinds in wellformed._usual) <= 1_000
