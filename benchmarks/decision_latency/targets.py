"""What a suggestion may cost: d = 7, 8 pending trials, one thread, amortized over fits."""

from collections.abc import Mapping

MEAN: Mapping[int, float] = {100: 20.0, 500: 60.0, 1_000: 150.0}  # milliseconds, by observations
LARGE = 5_000  # observations, with which
WORST = 1_000.0  # no suggestion takes more milliseconds
MEMORY = 500.0  # nor the process more megabytes
SPEEDUP = 50.0  # times as fast as the peer's model-based search with its default fits
