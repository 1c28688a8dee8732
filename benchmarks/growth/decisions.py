"""CPU time of a decision by its kind, in a study that grows to a million trials.

One engine plays the whole study: what is recorded is kept, as the engine needs it, and nothing is
kept beside. Each time that it has come to a size, the decisions of the next quarter are timed.
"""

from collections import defaultdict
from collections.abc import Sequence

from benchmarks.decision_latency import memory
from benchmarks.decisions import study
from benchmarks.growth.figures import Line, Point, point
from benchmarks.player import Player
from hyperband.core.decisions import Action
from hyperband.core.engine import Engine
from hyperband.core.seeds import generator

MODES = ("Stopping", "Promotion")
KINDS = {Action.START: "start", Action.PROMOTE: "promotion"}  # all others: a value at a rung
TIMED = 4_000  # decisions at a size, at most
SHORT = 2_000  # trials that small studies have together, as one alone has too few decisions


def lines(mode: str, sizes: Sequence[int]) -> list[Line]:
    """One for each kind of decision; to be called once in a process, for its memory's sake."""
    found: defaultdict[str, list[Point]] = defaultdict(list)
    small = [size for size in sizes if size < SHORT]
    for size in small:
        samples: defaultdict[str, list[float]] = defaultdict(list)
        for seed in range(SHORT // size):
            _time(_player(mode, seed), size, samples)
        _add(found, size, samples)
    before, growing = memory.peak(), _player(mode, 0)
    for size in sizes[len(small) :]:
        samples = defaultdict(list)
        _time(growing, size, samples)
        _add(found, size, samples)
    trials = max(1, len(growing.engine.trials))
    taken = (memory.peak() - before) / trials
    return [Line(f"{mode}, {kind}", points, taken) for kind, points in found.items()]


def _player(mode: str, seed: int) -> Player:
    loss = generator(seed, 0, "growth")
    return Player(Engine(study(mode)), lambda trial, resource: float(loss.random()), seed)


def _time(player: Player, size: int, samples: defaultdict[str, list[float]]) -> None:
    """Lets the study come to a size, and times what is decided from there on."""
    while len(player.engine.trials) < size:
        for _ in player.play():
            pass
    count = 0
    while len(player.engine.trials) < size + size // 4 and count < TIMED:
        for each in player.play():
            count += 1
            kind = KINDS.get(each.decision.action, "value at a rung")
            samples[kind].append(each.cost.cpu)


def _add(
    found: defaultdict[str, list[Point]], size: int, samples: defaultdict[str, list[float]]
) -> None:
    for kind, seconds in samples.items():
        found[kind].append(point(size, seconds))
