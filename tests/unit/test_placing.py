"""Queues by name: in tasks, in the words of `up`, and in what workers announce."""

import pytest

from gristmill.config.names import checked_queue, worker_word
from gristmill.errors import InputError
from gristmill.fleet.announcement import announcements_json, read_announcements
from gristmill.tasks.kind import Kind, kind_of
from gristmill.tasks.kinds import cpu, io
from gristmill.tasks.queue_worker import QueueWorker
from gristmill.tasks.remote import RemoteTask
from gristmill.tasks.task import route


@cpu(queue="gpu", name="placing.classify")
def classify(n: int) -> int:
    return n


@io(queue="mail", name="placing.send")
def send(n: int) -> int:
    return n


TASKS = (classify, send)


def test_a_task_names_its_queue():
    assert [task.queue_name for task in TASKS] == ["gpu", "mail"]
    assert (kind_of("gpu"), kind_of("mail"), kind_of("cpu"), kind_of("other")) == (Kind.CPU, Kind.IO, Kind.CPU, None)
    assert [route(task.name, (), {}, {}, task) for task in TASKS] == [{"queue": "gpu"}, {"queue": "mail"}]


def test_a_queue_has_tasks_of_one_kind():
    for decorator, queue in ((io, "gpu"), (cpu, "mail"), (cpu, "io")):
        with pytest.raises(TypeError, match=f"'{queue}'"):
            decorator(queue=queue, name="placing.other")(lambda: None)


@pytest.mark.parametrize("queue", ["", "two words", "-gpu", "a:b", "a=b", "x" * 65, "flower", 7])
def test_a_queue_without_a_name_is_refused(queue):
    with pytest.raises(InputError, match="queue"):
        checked_queue(queue)
    with pytest.raises(InputError, match="queue"):
        cpu(queue=queue, name="placing.other")(lambda: None)


def test_what_workers_announce_has_the_queue():
    announced = read_announcements(announcements_json({task.name: task.announcement for task in TASKS}))
    remote = [RemoteTask.of(name, one) for name, one in announced.items()]
    assert [(task.kind, task.queue_name) for task in remote] == [(Kind.CPU, "gpu"), (Kind.IO, "mail")]


@pytest.mark.parametrize(
    ("word", "worker"),
    [
        ("cpu", ("cpu", Kind.CPU, 0)),
        ("io=1250", ("io", Kind.IO, 1250)),
        ("gpu=4", ("gpu", Kind.CPU, 4)),
        ("gpu:cpu", ("gpu", Kind.CPU, 0)),
        ("mail", ("mail", Kind.IO, 0)),
        ("new", ("new", Kind.CPU, 0)),
        ("new:io=4096", ("new", Kind.IO, 4096)),
    ],
)
def test_a_word_starts_a_worker(word, worker):
    started = QueueWorker.of(word)
    assert started == worker
    assert QueueWorker.of(started.word) == (*worker[:2], 0)
    assert started.word == worker_word(started.queue, str(started.kind))


@pytest.mark.parametrize(
    ("word", "name", "value"),
    [
        ("gpu=0", "slots of queue gpu", "0"),
        ("gpu=1025", "slots of queue gpu", "1025"),
        ("io=4097", "slots of queue io", "4097"),
        ("gpu=x", "slots of queue gpu", "x"),
        ("gpu=", "slots of queue gpu", ""),
        ("mail:cpu", "kind of queue mail", "cpu"),
        ("new:gpu", "kind of queue new", "gpu"),
        ("a b", "queue", "a b"),
        ("gpu=1=2", "worker", "gpu=1=2"),
        ("", "queue", ""),
    ],
)
def test_a_word_that_starts_none_is_named(word, name, value):
    with pytest.raises(InputError) as error:
        QueueWorker.of(word)
    assert f"{name}: {value!r}" in str(error.value)
