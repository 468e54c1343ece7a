"""The cores and the memory that this process may use, also inside a container; and which machine it runs on."""

import hashlib
import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path

ROOT = Path("/")
#: Files that mark a container.
_MARKS = (".dockerenv", "run/.containerenv")


def cores(root: Path = ROOT) -> int:
    """The number of cores that this process may use, at least 1: its affinity or its cgroups' quota, the lesser one.

    A fraction of a core counts as one.
    """
    # macOS has no affinity.
    affinity = getattr(os, "sched_getaffinity", None)
    limits = [len(affinity(0)) if affinity else os.cpu_count() or 1]
    for group in _groups("cpu", root):
        first_version = [*_words(group / "cpu.cfs_quota_us"), *_words(group / "cpu.cfs_period_us")]
        match _words(group / "cpu.max") or first_version:
            case [quota, period] if quota.isdigit() and period.isdigit() and int(period) > 0:
                limits.append(ceil(int(quota) / int(period)))
    return max(1, min(limits))


def memory(root: Path = ROOT) -> int:
    """The bytes of memory that this process may use: the machine's memory or its cgroups' limit, the lesser one."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for group in _groups("memory", root):
        words = [*_words(group / "memory.max"), *_words(group / "memory.limit_in_bytes")]
        limits += [int(word) for word in words if word.isdigit()]
    return min(limits)


def memory_used(root: Path = ROOT) -> int:
    """The bytes of memory that this process's container uses, without the files that the kernel can drop; 0: unknown.

    As `docker stats` counts it.
    """
    for group in _groups("memory", root):
        words = [*_words(group / "memory.current"), *_words(group / "memory.usage_in_bytes")]
        if words:
            stat = _words(group / "memory.stat")
            fields = dict(zip(stat[::2], stat[1::2], strict=False))
            files = fields.get("total_inactive_file", fields.get("inactive_file", "0"))
            return max(0, int(words[0]) - int(files))
    return 0


def machine_id(root: Path = ROOT) -> str:
    """An id of the machine that this process runs on, the same in all of its containers; empty where none is known.

    It is that of the kernel that runs: a container has no other one, and a machine has another one after it restarts.
    """
    boot = "".join(_words(root / "proc/sys/kernel/random/boot_id"))
    return hashlib.sha256(boot.encode()).hexdigest()[:12] if boot else ""


def in_container(root: Path = ROOT) -> bool:
    """Whether this process runs in a container of Docker, Podman or Kubernetes."""
    return any((root / mark).exists() for mark in _MARKS) or bool(namespace(root))


def namespace(root: Path = ROOT) -> str:
    """The namespace of the pod of Kubernetes that this process runs in; empty outside of one."""
    if not os.environ.get("KUBERNETES_SERVICE_HOST"):
        return ""
    return " ".join(_lines(root / "var/run/secrets/kubernetes.io/serviceaccount/namespace")) or "default"


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """The cgroups that limit this process, innermost first, up to the root: the limit of each applies.

    In a container without a cgroup namespace, the process's own path names groups of which only the outermost exists.
    """
    mount = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if not controllers:
            top = mount  # version 2
        elif controller in controllers.split(","):
            top = mount / controller
        else:
            continue
        group = top / path.lstrip("/")
        yield from (above for above in (group, *group.parents) if above.is_relative_to(top))


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
