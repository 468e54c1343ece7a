"""The search for a sender's headers is left out where it finds none, and the task sees what it would see."""

import pytest
from celery import Celery
from celery.app.task import Context
from celery.utils.threads import LocalStack

from gristmill.worker.request_stack import RequestStack, give_stack, without_search

#: What Celery's worker makes of a message of its own, before and while it runs it.
REQUEST = {
    "lang": "py", "task": "known", "id": "1", "shadow": None, "eta": None, "expires": None, "group": None,
    "group_index": None, "retries": 0, "timelimit": [None, None], "root_id": "1", "parent_id": None, "argsrepr": "()",
    "kwargsrepr": "{}", "origin": "here", "ignore_result": False, "replaced_task_nesting": 0, "stamped_headers": None,
    "stamps": {}, "properties": {}, "reply_to": "me", "correlation_id": "1", "hostname": "node", "delivery_info": {},
    "args": [], "kwargs": {},
}  # fmt: skip
OPTIONS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


@pytest.fixture
def searches(monkeypatch):
    """The requests in which Celery has looked for headers."""
    searches, search = [], Context._get_custom_headers
    monkeypatch.setattr(
        Context,
        "_get_custom_headers",
        lambda self, *args, **kwargs: searches.append(1) or search(self, *args, **kwargs),
    )
    return searches


def seen(request, options):
    """The headers that a task sees."""
    stack = RequestStack()
    stack.push(Context(without_search(request, options), **options))
    return stack.top.headers


def test_a_message_without_headers_of_a_sender_is_not_searched(searches):
    assert seen(REQUEST, OPTIONS) is None
    assert searches == []
    assert Context(REQUEST, **OPTIONS).headers is None


@pytest.mark.parametrize(
    ("request_more", "options_more"),
    [({"tenant": "x"}, {}), ({}, {"tenant": "x"}), ({"headers": {"tenant": "x"}}, {})],
    ids=["in the message", "in its options", "of protocol 1"],
)
def test_a_task_sees_the_headers_of_a_sender(request_more, options_more):
    request, options = {**REQUEST, **request_more}, {**OPTIONS, **options_more}
    assert seen(request, options) == Context(request, **options).headers == {"tenant": "x"}


def test_the_request_of_the_worker_stays_as_it_is():
    request = dict(REQUEST)
    without_search(request, OPTIONS)
    assert request == REQUEST


def test_a_task_gets_a_stack_once_and_keeps_one_of_its_own():
    app = Celery("stacks", set_as_current=False)

    @app.task
    def task():
        pass

    @app.task
    def other():
        pass

    give_stack(task)
    first = task.request_stack
    assert type(first) is RequestStack
    assert type(other.request_stack) is LocalStack
    give_stack(task)
    assert task.request_stack is first
