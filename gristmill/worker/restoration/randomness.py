"""Random numbers: each process of a pool draws its own, also from generators that were there before the fork."""

import os
import random
import sys


def reseed() -> None:
    """Seed the global generators of Python, numpy and torch from the system, if they are imported.

    A fork copies their state. A library that this process imports later seeds itself.
    """
    random.seed()
    numpy, torch = sys.modules.get("numpy.random"), sys.modules.get("torch")
    if numpy is not None:
        entropy = os.urandom(32)
        numpy.seed([int.from_bytes(entropy[i : i + 4]) for i in range(0, 32, 4)])
    if torch is not None:
        torch.seed()
