"""The cores and the memory that this process may use, also inside a container."""

import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path

ROOT = Path("/")


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
    """The bytes of memory that this process may use: the host's memory or its cgroups' limit, the lesser one."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for group in _groups("memory", root):
        words = [*_words(group / "memory.max"), *_words(group / "memory.limit_in_bytes")]
        limits += [int(word) for word in words if word.isdigit()]
    return min(limits)


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
