"""Why a configuration was suggested, in words: where it comes from, and what is expected of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from hyperband.core.records import EarlierTrial, Suggestion

Detail = Mapping[str, float]
At = Callable[[int], str]  # the resource of a level, in words


def describe(suggestion: Suggestion, best: Sequence[EarlierTrial], at: At) -> str:
    """The origin and, as far as it is known, more, e.g. `Evolution: child of trial 7`.

    Args:
        best: of each earlier study, as they are tried.
        at: names the resource of a level.
    """
    origin, detail = suggestion.origin, suggestion.detail
    if origin == "Initial":
        return "Initial: given in initialParameters"
    if origin == "Earlier":
        studies = (t.study for t in best if t.parameters == suggestion.parameters)
        return f"Earlier: the best of {next(studies, 'an earlier study')}"
    try:
        return f"{origin}: {_LEARNED[origin](detail, at)}"
    except (KeyError, IndexError):  # it has learned nothing, or the record is of another version
        return origin


def _gaussian_process(detail: Detail, at: At) -> str:
    expected = f"{detail['mean']:.4g} ± {detail['deviation']:.2g} expected"
    return f"{expected} at {at(int(detail['level']))}, best so far {detail['incumbent']:.4g}"


def _kernel_density(detail: Detail, at: At) -> str:
    bad = detail["bad"] + detail["failed"]
    return f"by {detail['good']:.0f} good and {bad:.0f} bad at {at(int(detail['level']))}"


def _evolution(detail: Detail, at: At) -> str:
    parent = int(detail["parent"])
    return f"child of trial {parent}" if parent >= 0 else "child of an earlier study's trial"


_LEARNED: Final[Mapping[str, Callable[[Detail, At], str]]] = {
    "GaussianProcess": _gaussian_process,
    "KernelDensity": _kernel_density,
    "Evolution": _evolution,
}
