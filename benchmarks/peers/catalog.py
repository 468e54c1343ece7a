"""The peers, each in the settings that its documentation advises for two cores, and ours."""

from benchmarks.peers.peer import Peer

_CELERY = "celery -A celery_app worker --without-mingle --without-gossip --without-heartbeat -l error"
_TASKIQ = "taskiq worker taskiq_app:broker -w 2 --log-level ERROR"
_HUEY_PROCESSES = "huey_consumer huey_app.huey -w 2 -k process -q"
_DRAMATIQ = "dramatiq dramatiq_app -p 2 -t 8"
#: What ChasquiMQ needs.
REDIS_8 = (8, 6)
_STOCK_LIST, _OUR_LIST = "`Producer.batch(500)`", "`enqueue_many(…)`"
_OURS = "A task whose worker is killed runs again, on another worker, within 30 s; results are off."
_STOCK = (
    "A task that a killed worker runs is lost, it is acknowledged before; what it had prefetched comes back after an "
    "hour; one that is just popped is lost. Results are off."
)
_HUEY = "A task that a killed worker had is lost: it is popped before it runs; results are off."
_RECORDED = (
    "An item whose worker is killed runs again within 30 s and is recorded once, with its result, which is kept."
)
_BY_HAND = (
    "As above, for all 800 together: what fails, is killed or is repeated, is the message. No item has a result, a "
    "time or an outcome of its own."
)
_OUR_ENVIRON = {"BENCH_TRANSPORT": "ours", "BENCH_PREFETCH": "50"}

PEERS = (
    Peer(
        "Gristmill, batches",
        None,
        "batch_app",
        {
            "noop": ("python -m gristmill.worker cpu --slots 2", 1),
            "cpu": ("python -m gristmill.worker cpu --slots 2", 1),
            "wait": ("python -m gristmill.worker io --slots 64", 1),
        },
        "`submit(…)`",
        _RECORDED,
        noops=1_000_000,
        singles=False,
    ),
    Peer(
        "Gristmill, plain messages, threads",
        None,
        "celery_app",
        {"noop": (f"{_CELERY} -P threads -c 10", 2), "wait": (f"{_CELERY} -P threads -c 64", 1)},
        _OUR_LIST,
        _OURS,
        noops=20_000,
        environ=_OUR_ENVIRON,
    ),
    Peer(
        "Gristmill, plain messages, prefork",
        None,
        "celery_app",
        {"noop": (f"{_CELERY} -P prefork -c 2", 1), "cpu": (f"{_CELERY} -P prefork -c 2", 1)},
        _OUR_LIST,
        _OURS,
        noops=10_000,
        environ=_OUR_ENVIRON,
    ),
    Peer(
        "Celery, threads",
        "celery",
        "celery_app",
        {"noop": (f"{_CELERY} -P threads -c 10", 2), "wait": (f"{_CELERY} -P threads -c 64", 1)},
        _STOCK_LIST,
        _STOCK,
        noops=3_000,
        environ={"BENCH_TRANSPORT": "stock", "BENCH_PREFETCH": "50"},
    ),
    Peer(
        "Celery, prefork",
        "celery",
        "celery_app",
        {"noop": (f"{_CELERY} -P prefork -c 2", 1), "cpu": (f"{_CELERY} -P prefork -c 2", 1)},
        _STOCK_LIST,
        _STOCK,
        noops=2_000,
        environ={"BENCH_TRANSPORT": "stock", "BENCH_PREFETCH": "50"},
    ),
    Peer(
        "dramatiq",
        "dramatiq",
        "dramatiq_app",
        {
            "noop": (_DRAMATIQ, 1),
            "cpu": (_DRAMATIQ, 1),
            "wait": ("dramatiq dramatiq_app -p 2 -t 32", 1),
        },
        "`send` in a loop",
        "A task whose worker is killed runs again after a minute, with one call in 1,000 (maintenance); no results.",
        noops=8_000,
        keeps=True,
    ),
    Peer(
        "huey, processes",
        "huey",
        "huey_app",
        {
            "noop": (_HUEY_PROCESSES, 1),
            "cpu": (_HUEY_PROCESSES, 1),
        },
        "a call in a loop",
        _HUEY,
        noops=8_000,
    ),
    Peer(
        "huey, threads",
        "huey",
        "huey_app",
        {
            "noop": ("huey_consumer huey_app.huey -w 10 -k thread -q", 1),
            "wait": ("huey_consumer huey_app.huey -w 64 -k thread -q", 1),
        },
        "a call in a loop",
        _HUEY,
        noops=5_000,
    ),
    Peer(
        "taskiq",
        "taskiq",
        "taskiq_app",
        {"noop": (_TASKIQ, 1), "cpu": (_TASKIQ, 1), "wait": (f"{_TASKIQ} --max-async-tasks 32", 1)},
        "`kiq`, 50 at once",
        "A task whose worker is killed runs again after 10 minutes; done messages stay in the stream; results are off.",
        noops=8_000,
        keeps=True,
    ),
    Peer(
        "streaq",
        "streaq",
        "streaq_app",
        dict.fromkeys(("noop", "cpu", "wait"), ("streaq run streaq_app:worker -w 2", 1)),
        "`enqueue_many`, 500",
        "A task whose worker is killed runs again after a minute, 3 times at most; results are off (`ttl=0`).",
        noops=4_000,
        keeps=True,
    ),
    Peer(
        "rq",
        "rq",
        "rq_app",
        dict.fromkeys(("noop", "cpu", "wait"), ("rq worker-pool -n 2 -w rq.worker.SimpleWorker -l ERROR", 1)),
        "`enqueue_many`, 500",
        "A job whose worker is killed is failed after a while, and kept as such; results are off (`result_ttl=0`).",
        noops=1_500,
        slots=2,
    ),
    Peer(
        "saq",
        "saq",
        "saq_app",
        dict.fromkeys(("noop", "cpu", "wait"), ("saq saq_app.settings --workers 2 -q", 1)),
        "`enqueue`, 50 at once",
        "A task whose worker is killed runs again after a sweep, a minute (`retries=3`); results are off (`ttl=-1`).",
        keeps=True,
    ),
    Peer(
        "arq",
        "arq",
        "arq_app",
        dict.fromkeys(("noop", "cpu", "wait"), ("arq arq_app.WorkerSettings", 2)),
        "`enqueue_job`, 50 at once",
        "A task whose worker is killed runs again after its time limit, 5 minutes; results are off (`keep_result=0`).",
        noops=2_000,
        keeps=True,
    ),
    Peer(
        "BullMQ for Python",
        "bullmq",
        "bullmq_app",
        dict.fromkeys(("noop", "cpu", "wait"), ("python bullmq_app.py", 2)),
        "`addBulk`, 500",
        "A task whose worker is killed runs again after 30 s, once; what is done is removed (`removeOnComplete`).",
        keeps=True,
    ),
    Peer(
        "ChasquiMQ, on Redis 8.6",
        "chasquimq",
        "chasquimq_app",
        dict.fromkeys(("noop", "cpu", "wait"), ("python chasquimq_app.py", 2)),
        "`add_bulk`, 500",
        "A task whose worker is killed runs again after 30 s; results are off.",
        noops=20_000,
        slots=200,
        redis=REDIS_8,
        keeps=True,
    ),
    Peer(
        "Gristmill, plain messages, on Redis 8.6",
        None,
        "celery_app",
        {"noop": (f"{_CELERY} -P threads -c 10", 2)},
        _OUR_LIST,
        _OURS,
        noops=20_000,
        environ=_OUR_ENVIRON,
        redis=REDIS_8,
    ),
    Peer(
        "Gristmill, batches, on Redis 8.6",
        None,
        "batch_app",
        {"noop": ("python -m gristmill.worker cpu --slots 2", 1)},
        "`submit(…)`",
        _RECORDED,
        noops=1_000_000,
        singles=False,
        redis=REDIS_8,
    ),
    Peer(
        "Gristmill, batches, 800 in an item",
        None,
        "batch_app",
        {"noop": ("python -m gristmill.worker cpu --slots 2", 1)},
        "`submit(…)` of lists of 800",
        f"{_RECORDED} All 800 are one item.",
        noops=400_000,
        lot=800,
        singles=False,
    ),
    Peer(
        "huey, processes, 800 in a message",
        "huey",
        "huey_app",
        {"noop": (_HUEY_PROCESSES, 1)},
        "a call for each 800",
        _BY_HAND,
        noops=400_000,
        lot=800,
        singles=False,
    ),
    Peer(
        "dramatiq, 800 in a message",
        "dramatiq",
        "dramatiq_app",
        {"noop": (_DRAMATIQ, 1)},
        "`send` for each 800",
        _BY_HAND,
        noops=400_000,
        lot=800,
        singles=False,
    ),
    Peer(
        "Celery, prefork, 800 in a message",
        "celery",
        "celery_app",
        {"noop": (f"{_CELERY} -P prefork -c 2", 1)},
        "`delay` for each 800",
        _BY_HAND,
        noops=400_000,
        environ={"BENCH_TRANSPORT": "stock", "BENCH_PREFETCH": "50"},
        lot=800,
        singles=False,
    ),
)
