"""A task's fingerprint: it changes with the code that the task runs, and with nothing else."""

import json

import pytest

from gristmill.fleet.announcement import Announcement, announcements_json, read_announcements
from gristmill.producer.task_versions import differing_modules
from gristmill.tasks.catalog import find
from tests.support.examples import PROJECT
from tests.support.projects import SHOP, python, write

CODE = """
import json
from gristmill.tasks.catalog import find
print(json.dumps({name: [find(name).fingerprint, find(name).modules] for name in ("double", "cost", "fetch")}))
"""


@pytest.fixture
def shop(tmp_path):
    return write(tmp_path, SHOP)


def fingerprints(directory, code=CODE, **environ):
    return json.loads(python(code, directory, **environ))


def test_it_covers_the_users_own_modules_and_no_others(shop):
    tasks = fingerprints(shop)
    assert set(tasks["double"][1]) == {"tasks", "worker", "config"}
    assert set(tasks["cost"][1]) == {"shop.jobs", "shop", "shop.prices", "shop.taxes"}
    assert set(tasks["fetch"][1]) == {"gristmill.tasks.fetch.task", "gristmill"}
    assert len({fingerprint for fingerprint, _ in tasks.values()}) == 3


@pytest.mark.parametrize("name", ["shop/jobs.py", "shop/__init__.py", "shop/prices.py", "shop/taxes.py"])
def test_it_changes_with_each_of_them(shop, name):
    before = fingerprints(shop)
    (shop / name).write_text((shop / name).read_text() + "\n# changed\n")
    after = fingerprints(shop)
    assert after["cost"][0] != before["cost"][0]
    assert differing_modules(before["cost"][1], after["cost"][1]) == {
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    }
    assert after["double"] == before["double"]


def test_it_does_not_change_with_another_module_or_another_directory(shop, tmp_path_factory):
    before = fingerprints(shop)
    (shop / "shop" / "unused.py").write_text("x = 1\n")
    assert fingerprints(shop / "sub") == before
    assert fingerprints(write(tmp_path_factory.mktemp("other"), SHOP)) == before


def test_a_script_and_the_module_that_it_is_have_the_same(shop):
    main = "import json; print(json.dumps([double.fingerprint, double.modules]))"
    (shop / "tasks.py").write_text(f"{SHOP['tasks.py']}\nif __name__ == '__main__':\n    {main}\n")
    script = python("import subprocess, sys; subprocess.run([sys.executable, 'tasks.py'], check=True)", shop)
    assert json.loads(script) == fingerprints(shop)["double"]


def test_modules_that_import_each_other_end(shop):
    (shop / "shop" / "prices.py").write_text("from shop import taxes\ndef price(article):\n    return 2.0\n")
    (shop / "shop" / "taxes.py").write_text("import shop.prices\nRATE = 1.5\n")
    assert set(fingerprints(shop)["cost"][1]) == {"shop.jobs", "shop", "shop.prices", "shop.taxes"}


def test_an_installed_task_has_its_distributions_version(tmp_path):
    site = tmp_path / "site-packages"
    files = {
        "mill_jobs/__init__.py": "",
        "mill_jobs/jobs.py": "import mill_jobs.inner\nfrom gristmill import io\n@io\ndef grind(n: int) -> int: ...\n",
        "mill_jobs/inner.py": "",
        "mill_jobs-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: mill-jobs\nVersion: 1.2\n",
        "mill_jobs-1.2.dist-info/RECORD": "mill_jobs/jobs.py,,\n",
        "mill_jobs-1.2.dist-info/top_level.txt": "mill_jobs\n",
        "mill_jobs-1.2.dist-info/entry_points.txt": "[gristmill.tasks]\njobs = mill_jobs.jobs\n",
    }
    code = "import json\nfrom gristmill.tasks.catalog import find\nprint(json.dumps(find('grind').modules))"
    modules = json.loads(python(code, write(site, files), PYTHONPATH=str(site)))
    assert set(modules) == {"mill_jobs.jobs", "mill-jobs"}
    assert modules["mill-jobs"] == "1.2"


def test_a_task_that_was_typed_at_a_prompt_has_one():
    code = "import json\nfrom gristmill import io\n{}\nprint(json.dumps(f.fingerprint))"
    one, other, same = (
        code.format(f"exec('@io\\ndef f(n: int) -> int:\\n    return n + {number}')") for number in (1, 2, 1)
    )
    assert python(one, PROJECT) == python(same, PROJECT) != python(other, PROJECT)


def test_what_a_worker_announces_is_read_as_it_was_written():
    announcement = find("fibonacci").announcement
    assert announcement.kind == "cpu"
    assert announcement.parameters == {"n": True, "method": False}
    assert read_announcements(announcements_json({"fibonacci": announcement})) == {"fibonacci": announcement}


@pytest.mark.parametrize("text", [None, "", "[]", "no json", '{"t": 3}', '{"t": {"kind": "io"}}', '"t"'])
def test_an_announcement_that_cannot_be_read_is_none(text):
    assert read_announcements(text) == {}


def test_announcements_of_other_versions_are_read_as_far_as_they_go():
    assert read_announcements('{"t": "f"}') == {"t": Announcement("f")}
    assert read_announcements('{"t": {"fingerprint": "f", "colour": "red"}}') == {"t": Announcement("f")}
