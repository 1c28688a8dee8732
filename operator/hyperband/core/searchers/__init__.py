"""Searchers: which configuration to try next. One module each, found by the name in the spec."""

from hyperband.core.errors import InvalidStudyError
from hyperband.core.records import Study
from hyperband.core.rungs import Ladder
from hyperband.core.searchers.base import Searcher
from hyperband.core.searchers.evolution import Evolution
from hyperband.core.searchers.gaussian_process import GaussianProcess
from hyperband.core.searchers.kernel_density import KernelDensity
from hyperband.core.searchers.random import Random

SEARCHERS: dict[str, type[Searcher]] = {
    "Random": Random,
    "GaussianProcess": GaussianProcess,
    "KernelDensity": KernelDensity,
    "Evolution": Evolution,
}


def make_searcher(study: Study, ladder: Ladder) -> Searcher:
    """The searcher that the study names.

    Raises:
        InvalidStudyError: there is no searcher of that name.
    """
    if study.searcher not in SEARCHERS:
        raise InvalidStudyError(
            "spec.searcher.type",
            f'there is no searcher "{study.searcher}": use one of {", ".join(SEARCHERS)}',
        )
    return SEARCHERS[study.searcher](study, ladder)
