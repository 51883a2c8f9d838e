"""Where every random number comes from.

Belongs here: turning a path such as ``(seed, "traffic", "card_testing", 7)`` into a generator. There is no
global random state anywhere in the project; two equal paths give equal numbers in any process and any order.
"""

import hashlib

import numpy as np


def rng(seed: int, *path: int | str) -> np.random.Generator:
    """A PCG64 generator that depends on ``seed`` (≥ 0) and ``path`` alone.

    Words of the path become the first 32 bits of their SHA-256, so that adding a stage never shifts another's
    numbers, as an enumeration would.
    """
    spawn_key = tuple(_word(part) for part in path)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=spawn_key)))


def _word(part: int | str) -> int:
    if isinstance(part, str):
        return int.from_bytes(hashlib.sha256(part.encode()).digest()[:4], "big")
    return part
