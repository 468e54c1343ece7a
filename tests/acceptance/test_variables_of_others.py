"""Variables that the user's own Celery project reads are not ours: a fleet starts and works beside them."""

import sys

CALL = (
    "from gristmill.tasks.fibonacci import fibonacci; "
    "print(fibonacci.apply_async((10,), ignore_result=False).get(timeout=60))"
)
OTHERS = {
    "APP": "nowhere",
    "BROKER_URL": "amqp://guest@127.0.0.1:1//",
    "CELERY_BROKER_URL": "amqp://guest@127.0.0.1:1//",
    "CELERY_BROKER_READ_URL": "amqp://guest@127.0.0.1:1//",
    "CELERY_BROKER_WRITE_URL": "amqp://guest@127.0.0.1:1//",
    "CELERY_RESULT_BACKEND": "db+sqlite:////nowhere/results.db",
    "RESULT_BACKEND": "redis://127.0.0.1:1/0",
}


def test_a_fleet_works_beside_the_variables_of_another_celery_app(place):
    place.environ |= OTHERS
    with place.up("cpu", "flower", "--cpu-slots", "1"):
        assert place.run("run", "fibonacci", "20", "21").good().out.count("succeeded") == 2
        assert place.process([sys.executable, "-P", "-c", CALL]).good().out == "55\n"
