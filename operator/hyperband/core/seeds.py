"""Randomness as a function of (seed, trial index, purpose), so that a restart draws the same."""

import hashlib

import numpy as np


def key(seed: int, index: int, purpose: str) -> int:
    """A 128-bit number that depends on all three and nothing else."""
    text = f"{seed}/{index}/{purpose}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "big")


def uniform(seed: int, index: int, purpose: str) -> float:
    """One number in [0, 1)."""
    return (key(seed, index, purpose) >> 75) * 2.0**-53


def generator(seed: int, index: int, purpose: str) -> np.random.Generator:
    """A generator of its own for this trial and purpose."""
    return np.random.Generator(np.random.PCG64(key(seed, index, purpose)))


def seed_from(uid: str) -> int:
    """The seed of a study that names none: a function of its uid, below 2**31."""
    return key(0, 0, f"study/{uid}") & 0x7FFFFFFF
