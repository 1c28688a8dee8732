"""What is measured, and by which power it grows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Point:
    """CPU seconds at a size."""

    size: int
    median: float
    high: float  # the 99th percentile
    samples: int


@dataclass(frozen=True, slots=True)
class Line:
    """Points of one thing, by size.

    Attributes:
        memory: bytes that a trial has taken, at the last size; 0 if that was not looked at.
    """

    name: str
    points: list[Point]
    memory: float = 0.0

    @property
    def exponent(self) -> float:
        """p of the least-squares line t = c·n^p through the medians."""
        sizes, medians = np.log([(p.size, p.median) for p in self.points]).T
        return float(np.polyfit(sizes, medians, 1)[0]) if len(self.points) > 1 else float("nan")


def point(size: int, seconds: Sequence[float]) -> Point:
    """Of samples at a size."""
    low, high = np.quantile(seconds, [0.5, 0.99])
    return Point(size, float(low), float(high), len(seconds))
