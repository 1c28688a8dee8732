"""A study and its trials at one moment, and what keeps them up as news come. No I/O."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from hyperband.api.story import Past
from hyperband.api.study import StudyResource, parse_study
from hyperband.api.words import status
from hyperband.core.records import Study
from hyperband.core.rungs import Ladder
from hyperband.plots.records import Records, Run, of_runs, read_run

Body = Mapping[str, Any]
T = TypeVar("T")

# What news change, by the names of the views that show it.
EVERYTHING = frozenset(("curves", "best", "parallel", "trials", "decisions", "timeline", "study"))
_BY_STATUS = {
    "state": {"trials", "parallel", "decisions", "timeline"},
    "rungs": {"curves", "best", "parallel", "trials", "decisions"},
    "latest": {"curves", "trials"},
    "attempts": {"timeline", "best", "decisions"},
}


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What all views of one version are made from; it never changes.

    Attributes:
        trials: the objects, by index, ascending, without their curves.
        read: the same as drawn, with the count of their values that are no numbers.
        archived: whether some of them come from archives.
        trouble: what is missing here and why, in words; empty if nothing is.
        memo: answers that were made of it, see `answers`.
    """

    version: int
    body: Body
    trials: Mapping[int, Body]
    read: tuple[tuple[Run, int], ...]
    archived: bool = False
    trouble: str = ""
    memo: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    def kept(self, key: str, make: Callable[[], T]) -> T:
        """What several views need and only some versions are asked for: made once."""
        if key not in self._kept:
            self._kept[key] = make()
        found: T = self._kept[key]
        return found

    @cached_property
    def _kept(self) -> dict[str, Any]:
        return {}

    @cached_property
    def records(self) -> Records:
        """What figures are drawn of."""
        return of_runs(self.body, self.read)

    @cached_property
    def runs(self) -> Mapping[int, Run]:
        """Trials as they are drawn, by index."""
        return {run.index: run for run, _ in self.read}

    @cached_property
    def resource(self) -> StudyResource:
        """The study's object as it is read.

        Raises:
            InvalidStudyError: it is no study that can run.
        """
        return parse_study(self.body)

    @property
    def study(self) -> Study:
        """The study as the core knows it."""
        return self.resource.study

    @cached_property
    def ladder(self) -> Ladder:
        """Its rung levels."""
        return Ladder.of(self.study)

    @cached_property
    def past(self) -> list[Past]:
        """What a trial's story needs of all trials."""
        return [
            Past(index, int(trial["spec"]["bracket"]), status(trial).get("rungs") or ())
            for index, trial in self.trials.items()
        ]


class Live:
    """The objects of one study as last seen, and what has changed since the last snapshot.

    Args:
        version: after which those of its snapshots count on.
    """

    def __init__(self, version: int = 0) -> None:
        self.body: Body | None = None
        self.changed: set[str] = set()
        self.archived = False
        self.trouble = ""
        self._trials: dict[int, Body] = {}
        self._read: dict[int, tuple[Run, int]] = {}
        self._version = version

    def __len__(self) -> int:
        return len(self._trials)

    def see_study(self, body: Body | None) -> None:
        """The study's object, or that there is none any more."""
        if body != self.body:
            self.body = body
            self.changed.add("study")

    def tell(self, trouble: str) -> None:
        """What is missing and why, or that nothing is any more."""
        if trouble != self.trouble:
            self.trouble = trouble
            self.changed.add("study")

    def see_trial(self, body: Body) -> None:
        """A trial's object; one that is not of the shape that its definition asks for is left out.

        Only an edit past the definition makes one: the operator says so in the study's conditions.
        """
        try:
            index, read = int(body["spec"]["index"]), read_run(body)
            kept = _without_curve(body)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            return
        old, old_read = self._trials.get(index), self._read.get(index)
        if kept == old and read == old_read:
            return
        self.changed |= _changes(old, kept)
        if old_read is None or old_read[0].curve != read[0].curve:
            self.changed.add("curves")
        self._trials[index], self._read[index] = kept, read

    def forget(self, index: int) -> None:
        """A trial's object is gone."""
        if self._trials.pop(index, None) is not None:
            del self._read[index]
            self.changed |= EVERYTHING

    @property
    def indices(self) -> set[int]:
        """Of the trials that are known."""
        return set(self._trials)

    def happened(self, index: int) -> bool:
        """Whether anything of a trial is known but that it is to be."""
        return bool(status(self._trials.get(index, {})))

    def snapshot(self) -> tuple[Snapshot, frozenset[str]]:
        """A new version, and what changed since the one before.

        Raises:
            LookupError: there is no study.
        """
        if self.body is None:
            raise LookupError("no study")
        self._version += 1
        order = sorted(self._trials)
        made = Snapshot(
            self._version,
            self.body,
            {index: self._trials[index] for index in order},
            tuple(self._read[index] for index in order),
            self.archived,
            self.trouble,
        )
        changed, self.changed = frozenset(self.changed), set()
        return made, changed


def _without_curve(body: Body) -> Body:
    """What is drawn has it already, in a quarter of the memory."""
    known = {key: value for key, value in status(body).items() if key != "curve"}
    return {"metadata": body["metadata"], "spec": body["spec"], "status": known}


def _changes(old: Body | None, new: Body) -> set[str]:
    if old is None:
        return set(EVERYTHING - {"study"}) if status(new) else {"trials", "decisions"}
    before, after = status(old), status(new)
    found = {"trials"}
    for key, views in _BY_STATUS.items():
        if before.get(key) != after.get(key):
            found |= views
    return found
