"""What a training might do to the reporter: scripts of calls, and what must hold for each.

A script is made from bytes; it has the numbers of a training, and whatever else Python lets a
training pass as one.
"""

import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from hyperband.api.metrics import parse_metrics
from hyperband.report import _environment as environment
from hyperband.report import _reporter, report
from hyperband.report._checkpoints import checkpoint, resume_from
from hyperband.report._history import History
from hyperband.report._outbox import Delivered, Failed, Outbox, Outcome, Refused
from tests.fuzz.source import NUMBERS, Source

NAMES: Final = ("epochs", "val_loss", "a", "é" * 253, "参" * 253, "x" * 253, 'a"b\\', "\x01")
LADDERS: Final[Sequence[Sequence[float]]] = (
    (1, 3, 9, 27),
    (27,),
    (),
    (0.5, 1.5, 1e300),
    tuple(range(1, 101)),
    tuple(2.0**k for k in range(-40, 60)),
)
SUFFIXES: Final = (".ckpt", ".npz", ".tar.gz", "", ".7z", "ckpt", "/../x", "." + "x" * 300, ".é")
MEMORY: Final = Path("/dev/shm")  # files of a campaign are many and short-lived


class _Level(IntEnum):
    HIGH = 3


class _Strange:
    """Claims to be a number."""

    def __init__(self, error: type[Exception] | None, item: bool) -> None:
        self._error = error
        if item:
            self.item = self.__float__

    def __float__(self) -> float:
        if self._error is not None:
            raise self._error("no number")
        return 0.5

    def __repr__(self) -> str:
        if self._error is not None:
            raise self._error("no text")
        return "strange"


ERRORS: Final = (None, ValueError, TypeError, RuntimeError, OverflowError, ZeroDivisionError)
VALUES: Final[Sequence[Callable[[Source], Any]]] = (
    lambda source: Decimal(source.pick(("0.1", "NaN", "sNaN", "Infinity", "1e999", "-0"))),
    lambda source: Fraction(source.pick((1, 10**400, -(10**400))), source.pick((3, 7))),
    lambda source: np.float32(source.pick(NUMBERS[:16])),
    lambda source: np.int64(source.below(256) - 128),
    lambda source: np.array([source.below(256)] * source.below(3)),
    lambda source: np.array(source.pick((b"x", "x", None, 10**30, 1j, 2.5, "NaT")), dtype=object),
    lambda source: np.datetime64("2026-01-01"),
    lambda source: np.bool_(source.below(2)),
    lambda source: _Strange(source.pick(ERRORS), source.below(2) == 1),
    lambda source: source.pick((_Level.HIGH, int, float, complex(1, 2), None, b"1", "0.5", print)),
    lambda source: source.anything(),
)


def value(source: Source) -> Any:
    """What a training might report as a number."""
    kind = source.below(32)
    if kind < 12:
        return source.below(256) / 8
    if kind < 16:
        return source.below(40)
    if kind < 16 + len(VALUES):
        return VALUES[kind - 16](source)
    return source.number()


def _spent(source: Source) -> Any:
    """What a training might give as its resource."""
    kind = source.below(8)
    return VALUES[kind](source) if kind < 4 else source.number()


@dataclass(frozen=True)
class Script:
    """The study, as the training's environment has it, and what the training does.

    Attributes:
        calls: of `report`, each as often as the number beside it says.
        outcomes: what sending comes to.
        checkpoints: resource, suffix, and whether a folder, a file or nothing is written.
    """

    resource: str
    metric: str
    levels: Sequence[float]
    target: str
    calls: Sequence[tuple[Mapping[str, Any], int]]
    outcomes: Sequence[Outcome]
    checkpoints: Sequence[tuple[Any, str, int]]
    to_file: bool


def script(source: Source) -> Script:
    """The script of these bytes."""
    resource, metric = source.pick(NAMES), source.pick(NAMES)
    checkpoints: list[tuple[Any, str, int]] = []
    if source.rarely():
        checkpoints = source.list(
            4, lambda: (_spent(source), source.pick(SUFFIXES[:3] * 3 + SUFFIXES), source.below(3))
        )
    to_file = source.rarely()
    levels = source.pick(LADDERS)
    spent = 0.0

    def call() -> tuple[Mapping[str, Any], int]:
        nonlocal spent
        spent += source.below(64) / 8
        repeat = 1
        metrics: dict[str, Any] = {resource: spent} if source.often() else {}
        if source.often():
            metrics[metric] = value(source)
        kind = source.below(16)
        if kind == 15:
            metrics |= {source.text(): value(source) for _ in range(source.below(4))}
        elif kind == 14:
            metrics[resource] = value(source)
        elif kind == 13:
            repeat = source.pick((2, 5, 5, 20, 2, 5, 90))
        elif kind == 12:
            metrics |= {
                f"metric{i}": i / 7 for i in range(source.pick((10, 40, 20, 10, 90, 5, 10, 2500)))
            }
        return metrics, repeat

    return Script(
        resource,
        metric,
        levels,
        source.pick(("27", "27.0", "1e300", "inf", "0")),
        source.list(12, call),
        source.list(8, lambda: _outcome(source)),
        checkpoints,
        to_file,
    )


def _outcome(source: Source) -> Outcome:
    kind = source.below(3)
    if kind == 0:
        return Delivered()
    if kind == 1:
        return Refused("no")
    return Failed("away", source.pick((None, 0.0, 3.0, 1e9, float("inf"))))


class _Memory:
    """A destination as in a pod, without the thread."""

    def __init__(self, script: Script) -> None:
        self.history = History(script.resource, script.metric, script.levels)
        self.taken: list[Mapping[str, float]] = []

    def add(self, report: Mapping[str, float]) -> None:
        self.history.add(report)
        self.taken.append(report)

    def flush(self, timeout: float) -> bool:
        return True


@contextmanager
def _variables(given: Mapping[str, str]) -> Iterator[None]:
    """Environment variables that are set within the block."""
    os.environ.update(given)
    try:
        yield
    finally:
        for name in given:
            del os.environ[name]


def check_script(script: Script, *, with_files: bool) -> None:
    """Runs a script, and looks at what the operator would read, and at the files it leaves."""
    given = {
        environment.ENV_RESOURCE_NAME: script.resource,
        environment.ENV_METRIC: script.metric,
        environment.ENV_RESOURCE_TO: script.target,
    }
    memory = _Memory(script)
    with _variables(given), _reporter.replaced(memory):
        for metrics, repeat in script.calls:
            for _ in range(repeat):
                try:
                    report(**metrics)
                except (TypeError, ValueError):
                    break
    _check_annotation(script, memory)
    _check_delivery(script.outcomes, len(memory.taken))
    if with_files and (script.checkpoints or script.to_file):
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
            _check_lines(Path(folder, "lines"), script, memory.taken[:20])
            _check_checkpoints(Path(folder, "checkpoints"), script.checkpoints)


def _check_annotation(script: Script, memory: _Memory) -> None:
    text = memory.history.text()
    assert len(text.encode()) <= environment.MAX_METRICS_BYTES
    found = parse_metrics(text, script.metric, script.resource)
    if script.metric == script.resource:  # no study is like that
        return
    ascending = all(a[script.resource] <= b[script.resource] for a, b in pairwise(memory.taken))
    if not ascending:
        assert found.error is None or "goes back" in found.error, found.error
        return
    assert found.error is None, found.error
    if memory.taken:
        last, newest = memory.taken[-1], found.reports[-1]
        assert newest.resource == float(last[script.resource])
        assert _same(newest.value, last[script.metric])
    if memory.history.complete:
        for level in script.levels:
            first = next((x for x in memory.taken if x[script.resource] >= level), None)
            read = next((x for x in found.reports if x.resource >= level), None)
            assert (first is None) == (read is None)
            assert first is None or read is None or _same(read.value, first[script.metric])


def _same(value: float, reported: float) -> bool:
    return value == float(reported) or (math.isnan(value) and math.isnan(reported))


def _check_delivery(outcomes: Sequence[Outcome], states: int) -> None:
    """The newest state is sent within bounded time, and is delivered when the server takes it."""
    outbox, now = Outbox(10.0, lambda: 0.5), 0.0
    for _ in range(min(states, 3)):
        outbox.offer(urgent=False)
    for outcome in [*outcomes, Delivered()]:
        if outbox.settled:
            outbox.hurry()
        if outbox.delivered:
            return
        delay = outbox.delay(now)
        assert delay is not None and 0 <= delay <= 600
        now += delay
        outbox.record(outbox.take(now), outcome, now)
    assert outbox.delivered


def _check_lines(path: Path, script: Script, taken: Sequence[Mapping[str, float]]) -> None:
    lines = _reporter.Lines(path)
    for each in taken:
        lines.add(each)
    assert lines.flush(0.0)
    written = path.read_text().splitlines() if taken else []
    assert len(written) == len(taken)
    for line, each in zip(written, taken, strict=True):
        assert repr(json.loads(line)) == repr(dict(each))


def _check_checkpoints(folder: Path, checkpoints: Sequence[tuple[Any, str, int]]) -> None:
    """What was saved is found; what could not be saved spoils nothing."""
    given = {environment.ENV_CHECKPOINT_DIR: str(folder), environment.ENV_ATTEMPT: "1"}
    newest: float | None = None
    with _variables(given):
        for resource, suffix, kind in checkpoints:
            try:
                with checkpoint(resource, suffix) as path:
                    if kind == 0:
                        path.write_text("state")
                    elif kind == 1:
                        path.mkdir()
                        (path / "state").write_text("state")
            except (TypeError, ValueError, OSError):
                pass
            else:
                newest = max(newest or 0.0, float(resource))
            found = resume_from()
            assert (found is None) == (newest is None)
            if found is not None:
                assert found.exists() and found.name.startswith(f"{_name(newest)}-1")
            assert not [each for each in folder.iterdir() if each.name.startswith(".")]
            assert len(list(folder.iterdir())) <= 3
    shutil.rmtree(folder, ignore_errors=True)


def _name(number: float | None) -> str:
    assert number is not None
    return str(int(number)) if number.is_integer() and number < 1e16 else repr(number)
