"""What the trials of an earlier, finished study are to one that starts warm from it. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hyperband.api.schema.check import complete
from hyperband.api.schema.study_spec import OBJECTIVE, RESOURCE
from hyperband.api.study import StudyResource
from hyperband.api.trial import TrialObject
from hyperband.core.axes import ends
from hyperband.core.errors import InvalidStudyError
from hyperband.core.parameters import show
from hyperband.core.records import EarlierTrial
from hyperband.core.space import Constant, Float, Integer, Parameter, Space, Value

MAX_VALUES: Final = 2_000  # of all earlier studies together; more make suggestions slow, not better
GONE: Final = "is gone: this study goes on without its values"
MAX_MISFITS: Final = 3  # that a message names
MAX_CHOICES: Final = 5  # that a misfit lists


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a configuration is none of this study: the first parameter that does not fit."""

    parameter: str
    allowed: str | None = None  # what its value would have to be; None: it has none

    def __str__(self) -> str:
        if self.allowed is None:
            return f"without {self.parameter}"
        return f"with {self.parameter} outside of {self.allowed}"


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What one earlier study has left to this one.

    Attributes:
        uid: of the study that was found; a later one of the same name is another study.
        trials: those that were taken over, by index.
        with_values: how many of its trials have any value.
        misfits: why trials of these are no configurations of this study, one for each.
        learns: whether this study's searcher learns from the values, or takes the best trial only.
        gone: whether the study has been deleted since this one started.
    """

    study: str
    uid: str
    trials: tuple[EarlierTrial, ...] = ()
    with_values: int = 0
    misfits: tuple[Misfit, ...] = ()
    learns: bool = True
    gone: bool = False

    @property
    def values(self) -> int:
        """How many values were taken over."""
        return sum(len(trial.values) for trial in self.trials)

    @property
    def message(self) -> str:
        """What has become of the study's trials."""
        if self.gone:
            return GONE
        text = f"{len(self.trials)} of {self.with_values} trials with values are taken over"
        if self.trials and not self.learns:
            text += "; the searcher tries the best of them and learns nothing from the others"
        if self.misfits:
            text += f"; left out: {_count(self.misfits)}"
        left_out = self.with_values - len(self.misfits) - len(self.trials)
        return f"{text}; more than are needed: {left_out}" if left_out else text


def _count(misfits: Sequence[Misfit]) -> str:
    """The most frequent ones, e.g. `14 without wd, 3 with depth outside of 2 … 5`."""
    frequent = Counter(misfits).most_common(MAX_MISFITS)
    parts = [f"{count} {misfit}" for misfit, count in frequent]
    others = len(misfits) - sum(count for _, count in frequent)
    return ", ".join([*parts, f"{others} for other reasons"] if others else parts)


def check_comparable(study: StudyResource, position: int, earlier: Mapping[str, Any]) -> None:
    """Checks that the values of an earlier study mean what those of this one mean.

    Args:
        position: of the earlier study's name in spec.warmStart.fromStudies.
        earlier: its object.

    Raises:
        InvalidStudyError: metric, goal or resource differ.
    """
    objective = complete(OBJECTIVE, earlier["spec"]["objective"], "spec.objective")
    resource = complete(RESOURCE, earlier["spec"]["resource"], "spec.resource")
    own = study.study
    for what, theirs, ours in (
        ("metric", objective["metric"], own.objective.metric),
        ("goal", objective["goal"], own.objective.goal.value),
        ("resource", resource["name"], own.resource.name),
    ):
        if theirs != ours:
            raise InvalidStudyError(
                f"spec.warmStart.fromStudies[{position}]",
                f"{study.warm_start[position]} has the {what} {show(theirs)}, this study "
                f"{show(ours)}, so that their values cannot be compared: leave it out, or use the "
                f"same {what}",
            )


@dataclass(frozen=True, slots=True)
class Found:
    """One trial of an earlier study that has a value."""

    index: int
    trial: EarlierTrial | Misfit


def find(study: str, items: Iterable[TrialObject], space: Space) -> list[Found]:
    """The trials among these objects that have a value, as they are in this study's space."""
    found = []
    for item in items:
        rungs = (item.status or {}).get("rungs") or ()
        # A report that skipped a rung is the value of both.
        values = sorted({(float(each["resource"]), float(each["value"])) for each in rungs})
        if values:
            point = translate(item.spec["parameters"], space)
            index = int(item.spec["index"])
            if isinstance(point, Misfit):
                found.append(Found(index, point))
            else:
                found.append(Found(index, EarlierTrial(study, point, tuple(values))))
    return found


def translate(parameters: Mapping[str, Any], space: Space) -> dict[str, Value] | Misfit:
    """A configuration of another space in this one, or why this one does not hold it.

    Names that this space does not have are dropped, and so is what its conditions make inactive;
    constants that the other space did not have are added. Anything else that is missing was not
    varied or not there, so its value is not known.
    """
    known = {p.name: parameters[p.name] for p in space.parameters if p.name in parameters}
    known = {p.name: p.value for p in space.parameters if isinstance(p, Constant)} | known
    try:
        # Numbers stand in for what is missing; those that turn out active are not known.
        point = space.complete(known, [0.5] * len(space.parameters))
    except InvalidStudyError:
        return next(_outside(known, space))
    missing = next((name for name in point if name not in known), None)
    return point if missing is None else Misfit(missing)


def _outside(known: Mapping[str, Any], space: Space) -> Iterator[Misfit]:
    for parameter in space.parameters:
        name = parameter.name
        try:
            space.validate_point({name: known[name]} if name in known else {})
        except InvalidStudyError:
            yield Misfit(name, _allowed(parameter))


def _allowed(parameter: Parameter) -> str:
    if isinstance(parameter, Float | Integer):
        low, high = ends(parameter)
        second = f", {low + parameter.step:g}" if parameter.step else ""
        return f"{low:g}{second} … {high:g}"
    values = (parameter.value,) if isinstance(parameter, Constant) else parameter.values
    listed = ", ".join(show(value) for value in values[:MAX_CHOICES])
    return f"{listed}, …" if len(values) > MAX_CHOICES else listed


def inherit(
    study: str, uid: str, found: Iterable[Found], most: int, learns: bool = True
) -> Inheritance:
    """What is taken over of a study: its trials, or the furthest of them if there are too many.

    Args:
        most: how many values may be taken over.
        learns: whether the searcher learns from them.
    """
    trials = sorted(found, key=lambda each: each.index)
    fitting = [each.trial for each in trials if isinstance(each.trial, EarlierTrial)]
    chosen, values = [], 0
    # The sort is stable: of equally far trials, those of the lowest index.
    for position in sorted(range(len(fitting)), key=lambda i: -fitting[i].values[-1][0]):
        values += len(fitting[position].values)
        if values > most:
            break
        chosen.append(position)
    return Inheritance(
        study,
        uid,
        tuple(fitting[position] for position in sorted(chosen)),
        with_values=len(trials),
        misfits=tuple(each.trial for each in trials if isinstance(each.trial, Misfit)),
        learns=learns,
    )


def warm_start_status(inherited: Iterable[Inheritance]) -> dict[str, Any]:
    """What `status.warmStart` shows."""
    rows = list(inherited)
    return {
        "values": sum(each.values for each in rows),
        "studies": [
            {
                "name": each.study,
                "uid": each.uid,
                "values": each.values,
                "trials": len(each.trials),
                "gone": each.gone,
                "message": each.message,
            }
            for each in rows
        ],
    }
