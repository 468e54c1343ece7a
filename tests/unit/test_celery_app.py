"""The app as Flower sees it: the tasks that workers announce are known, and no user's module is imported."""

import pytest
from celery import Celery

from gristmill.config.settings import load
from gristmill.dashboard.celery_app import AppView, forget_user_modules


@pytest.fixture
def app():
    app = Celery("test", set_as_current=False, broker_url="memory://")
    app.conf.imports = ("shipped", "users.own")
    return app


def test_modules_of_a_users_are_not_imported(app):
    forget_user_modules(app, load({"GRISTMILL_TASK_MODULES": "users.own"}))
    assert app.conf.imports == ("shipped",)


def test_tasks_that_workers_announce_are_known_by_name(app):
    names = set()
    view = AppView(app, lambda: names)
    assert "nap" not in view.tasks
    names.add("nap")
    assert "nap" in view.tasks
    assert "celery.chord" in view.tasks, "the app's own too"
    assert view.tasks["celery.chord"] is app.tasks["celery.chord"]
    with pytest.raises(KeyError):
        view.tasks["nap"]


def test_all_else_is_the_apps(app):
    view = AppView(app, set)
    assert view.conf is app.conf
    assert view.control is app.control
