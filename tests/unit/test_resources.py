"""What an item takes of its worker: the values that are allowed, and who may say it."""

import pytest

from gristmill.config.figures import size
from gristmill.config.resources import Resources
from gristmill.errors import InputError
from gristmill.fleet.announcement import announcements_json, read_announcements
from gristmill.producer.batch_options import BatchOptions
from gristmill.tasks.kinds import cpu, io
from gristmill.tasks.remote import RemoteTask


@cpu(name="resources.large", memory="6G", slots=2)
def large(n: int) -> int:
    return n


def test_a_task_says_what_an_item_takes_and_workers_announce_it():
    assert large.resources == (2, 6 << 30)
    (announced,) = read_announcements(announcements_json({"large": large.announcement})).values()
    assert RemoteTask.of("large", announced).resources == large.resources


def test_a_batch_changes_one_of_them_or_both():
    assert large.resources.with_options(None, None) == large.resources
    options = BatchOptions.of(slots=1, memory="512M")
    assert large.resources.with_options(options.slots, None) == (1, 6 << 30)
    assert large.resources.with_options(options.slots, options.memory) == (1, 512 << 20)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        *(("slots", value) for value in (0, -1, 4097, "2", 1.5, True)),
        *(("memory", value) for value in ("much", "-1G", 1000, "0", "65T", "")),
    ],
)
def test_other_values_are_refused(parameter, value):
    for call, options in ((Resources.of, {"slots": 1, "memory": None}), (BatchOptions.of, {})):
        with pytest.raises(InputError) as error:
            call(**{**options, parameter: value})
        assert f"{parameter}: {value!r}" in str(error.value)


def test_coroutines_take_neither():
    async def wait() -> None:
        pass

    for options in ({"slots": 2}, {"memory": "1G"}):
        with pytest.raises(InputError, match="resources of task"):
            io(name="resources.wait", **options)(wait)


@pytest.mark.parametrize(
    ("number", "text"),
    [(1 << 20, "1M"), (512 << 20, "512M"), (1536 << 20, "1.5G"), (4 << 30, "4G"), (3 << 40, "3T"), (1000, "1000")],
)
def test_sizes_in_sentences(number, text):
    assert size(number) == text
    assert text in str(Resources(2, number))
