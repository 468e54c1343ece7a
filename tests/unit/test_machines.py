"""Machines, containers and workers: what tells them apart, and what the Throughput page says of each."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gristmill.config.host import in_container, machine_id, memory_used, namespace
from gristmill.fleet.machines import machines
from gristmill.fleet.registry import LiveWorker
from gristmill.worker.host_load import HostLoad
from tests.support.projects import write


def container(name, machine="0123456789ab", **fields):
    of_all = {"id": f"cpu@{name}/1", "host": name, "queue": "cpu", "machine": machine, "container": True}
    return LiveWorker(f"cpu@{name}", **{**of_all, "cores": 1, "machine_cores": 4, "cpu": 50.0, **fields})


class TestMachines:
    def test_five_containers_on_one_machine_are_five_containers_on_one_machine(self):
        """Input D5."""
        five = [container(f"c{i}", cores_used=0.5, container_used=100, container_memory=512) for i in range(5)]
        (machine,) = machines(five)
        assert (machine.cores, machine.cpu, len(machine.workers)) == (4, 50.0, 5)

    def test_a_machine_is_called_as_it_calls_itself(self):
        beside = LiveWorker("io@mill", host="mill", machine="0123456789ab")
        assert [one.name for one in machines([container("c1"), beside])] == ["mill"]
        assert [one.name for one in machines([container("c1")])] == ["machine 012345"]
        assert [one.name for one in machines([container("c1", machine_name="mill-2"), beside])] == ["mill-2"]

    def test_workers_of_older_versions_have_a_machine_each_host(self):
        older = [
            LiveWorker("cpu@a", host="a", cores=2),
            LiveWorker("io@a", host="a", cores=2),
            LiveWorker("b", host="b"),
        ]
        assert [(one.name, one.cores, len(one.workers)) for one in machines(older)] == [("a", 2, 2), ("b", 0, 1)]


class TestHost:
    def test_containers_of_one_kernel_are_on_one_machine(self, tmp_path):
        ids = {machine_id(write(tmp_path / part, {"proc/sys/kernel/random/boot_id": "a-b\n"})) for part in "xy"}
        assert len(ids) == 1
        other = write(tmp_path / "z", {"proc/sys/kernel/random/boot_id": "c-d\n"})
        assert machine_id(other) not in ids
        assert machine_id(tmp_path) == ""

    @pytest.mark.parametrize(
        ("cgroup", "files"),
        [
            ("0::/\n", {"memory.current": "300", "memory.stat": "anon 1\ninactive_file 100\n"}),
            (
                "5:memory:/\n",
                {
                    "memory/memory.usage_in_bytes": "300",
                    "memory/memory.stat": "inactive_file 7\ntotal_inactive_file 100\n",
                },
            ),
        ],
    )
    def test_files_that_the_kernel_can_drop_are_no_memory_in_use(self, tmp_path, cgroup, files):
        tree = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
        assert memory_used(write(tmp_path, {"proc/self/cgroup": cgroup, **tree})) == 200
        assert memory_used(tmp_path / "nothing") == 0

    def test_pods(self, tmp_path, monkeypatch):
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        assert (namespace(tmp_path), in_container(tmp_path)) == ("", False)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        file = {"var/run/secrets/kubernetes.io/serviceaccount/namespace": "mill\n"}
        assert (namespace(write(tmp_path, file)), in_container(tmp_path)) == ("mill", True)

    def test_marks_of_containers(self, tmp_path):
        assert not in_container(tmp_path)
        assert in_container(write(tmp_path, {"run/.containerenv": ""}))

    def test_the_load_has_a_type_for_each_field_of_a_worker(self):
        load = HostLoad().read()
        assert {name: type(getattr(LiveWorker("w"), name)) for name in load} == {
            name: type(value) for name, value in load.items()
        }
        assert load["machine_cores"] == os.cpu_count()
        assert 0 < load["resident"] < load["memory"]

    def test_the_cores_that_a_worker_s_processes_use(self, monkeypatch):
        monkeypatch.setattr("gristmill.worker.host_load.SECOND_LOOK_SECONDS", 0.1)
        load, began, spent = HostLoad(), time.monotonic(), time.process_time()
        while time.process_time() < spent + 0.3 or time.monotonic() < began + 0.1:
            pass
        cores = (time.process_time() - spent) / (time.monotonic() - began)
        # The kernel counts in hundredths of a second.
        assert load.read()["cores_used"] == pytest.approx(cores, rel=0.3)

    def test_the_first_look_is_followed_soon_by_a_second_one(self, monkeypatch):
        monkeypatch.setattr("gristmill.worker.host_load.SECOND_LOOK_SECONDS", 0.0)
        load, spent = HostLoad(), time.process_time()
        while time.process_time() < spent + 0.1:
            pass
        assert load.read()["cores_used"] > 0
        # The third look is not due.
        assert load.read()["cores_used"] == load.read()["cores_used"]

    def test_another_thread_looks_as_the_first_one_does(self, monkeypatch):
        monkeypatch.setattr("gristmill.worker.host_load.SECOND_LOOK_SECONDS", 0.0)
        load, spent = HostLoad(), time.process_time()
        while time.process_time() < spent + 0.1:
            pass
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(load.read).result()["cpu"] > 0
