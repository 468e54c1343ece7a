"""Each pool process draws its own random numbers."""

import random
import sys
from types import SimpleNamespace

from gristmill.worker.restoration.randomness import reseed


def test_reseeding_forgets_the_seed_of_the_process_before_the_fork(monkeypatch):
    seeds, calls = [], []
    monkeypatch.setitem(sys.modules, "numpy.random", SimpleNamespace(seed=seeds.append))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(seed=lambda: calls.append("torch")))
    numbers = set()
    for _ in range(2):
        random.seed(1)
        reseed()
        numbers.add(random.random())
    assert len(numbers) == 2
    assert seeds[0] != seeds[1]
    assert all(len(seed) == 8 and all(0 <= part < 2**32 for part in seed) for seed in seeds)
    assert calls == ["torch", "torch"]


def test_reseeding_imports_nothing(monkeypatch):
    for name in ("numpy.random", "torch"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    reseed()
    assert not {"numpy.random", "torch"} & set(sys.modules)
