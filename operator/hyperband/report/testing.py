"""For tests of training scripts: reports are collected in memory."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from hyperband.report import _reporter


class _Memory:
    def __init__(self) -> None:
        self.reports: list[dict[str, float]] = []

    def add(self, report: Mapping[str, float]) -> None:
        self.reports.append(dict(report))

    def flush(self, timeout: float) -> bool:
        return True


@contextmanager
def capture() -> Iterator[list[dict[str, float]]]:
    """Yields the list of what is reported within the block, checked as in a pod."""
    memory = _Memory()
    with _reporter.replaced(memory):
        yield memory.reports
