"""The methods that are compared, ours and the peer's, and what each run is called.

A method's version is part of its results: raise it when what the method decides has changed, and
its runs are made again.
"""

from dataclasses import dataclass
from typing import Literal

from hyperband.core.schedulers import SCHEDULERS
from hyperband.core.searchers import SEARCHERS

ETA = 3.0  # as in the paper


@dataclass(frozen=True, slots=True)
class Method:
    """One column of the comparison."""

    name: str
    version: str
    family: Literal["ours", "peer"]


@dataclass(frozen=True, slots=True)
class Ours(Method):
    """A study's scheduler and searcher."""

    mode: str
    searcher: str
    every_bracket: bool = False  # all K of them, else the lowest alone

    def brackets(self, levels: int) -> int:
        return levels if self.every_bracket else 1

    @property
    def missing(self) -> str | None:
        """What this version of the package lacks for it."""
        if self.mode not in SCHEDULERS:
            return f"mode {self.mode}"
        return None if self.searcher in SEARCHERS else f"searcher {self.searcher}"


_VERSIONS = {"Evolution": "3", "GaussianProcess": "3"}  # of our searchers; the others' is 1


def _ours(name: str, mode: str, searcher: str, every_bracket: bool = False) -> Ours:
    version = _VERSIONS.get(searcher, "1")
    return Ours(name, version, "ours", mode, searcher, every_bracket)


def _peer(name: str) -> Method:
    return Method(f"peer-{name}", "1", "peer")


METHODS: tuple[Method, ...] = (
    _ours("random", "None", "Random"),
    _ours("halving", "Synchronous", "Random"),
    _ours("hyperband", "Synchronous", "Random", every_bracket=True),
    _ours("asha-stopping", "Stopping", "Random"),
    _ours("asha-stopping-all", "Stopping", "Random", every_bracket=True),
    _ours("asha-promotion", "Promotion", "Random"),
    _ours("asha-promotion-all", "Promotion", "Random", every_bracket=True),
    _ours("bohb-synchronous", "Synchronous", "KernelDensity", every_bracket=True),
    _ours("bohb-stopping", "Stopping", "KernelDensity"),
    _ours("bohb-promotion", "Promotion", "KernelDensity"),
    _ours("evolution", "None", "Evolution"),
    _ours("bo", "None", "GaussianProcess"),
    _ours("a-bohb-stopping", "Stopping", "GaussianProcess"),
    _ours("a-bohb-stopping-all", "Stopping", "GaussianProcess", every_bracket=True),
    _ours("a-bohb-promotion", "Promotion", "GaussianProcess"),
    _ours("a-bohb-promotion-all", "Promotion", "GaussianProcess", every_bracket=True),
    _peer("random"),
    _peer("hyperband"),
    _peer("asha-stopping"),
    _peer("asha-promotion"),
    _peer("bohb"),
    _peer("bohb-synchronous"),
    _peer("evolution"),
    _peer("bo"),
    _peer("mobster-stopping-fast"),  # its warm start, one start
    _peer("mobster-stopping"),
    _peer("mobster-promotion-fast"),
    _peer("mobster-promotion"),
)

# Minutes a run, so that nobody starts them unawares.
SLOW = frozenset(
    {
        "peer-bo",
        "peer-mobster-stopping-fast",
        "peer-mobster-stopping",
        "peer-mobster-promotion-fast",
        "peer-mobster-promotion",
    }
)


def method(name: str) -> Method:
    """The method of this name.

    Raises:
        KeyError: there is none.
    """
    for each in METHODS:
        if each.name == name:
            return each
    raise KeyError(f"there is no method {name}: use one of {', '.join(m.name for m in METHODS)}")
