"""What a study has spent: as its records say, and what its pods have used since."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from hyperband.backends.kubernetes.accounts import running
from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.objects import Pod
from hyperband.backends.kubernetes.store import TrialStore
from hyperband.core.engine import Engine
from hyperband.core.records import Spent


class _Use(NamedTuple):
    """Of one trial, beside its closed accounts; sums of them are exact, in whatever order."""

    seconds: Fraction = Fraction()  # GPU-seconds of pods that have ended
    gpus: Fraction = Fraction()  # held just now
    since: Fraction = Fraction()  # times their starts, seconds since 1970, added up
    units: Fraction = Fraction()  # of the resource, reported since the record was written


class Meter:
    """Adds up one study's spending, trial by trial: they are many, and it is asked often.

    Attributes:
        elapsed: seconds since the study's start, without those for which it was suspended; kept up
            by the study's task, as is
        reached: in words, the bound of the budget that is known to be reached.
    """

    def __init__(self, cluster: Cluster, store: TrialStore, engine: Engine) -> None:
        self.elapsed = 0.0
        self.reached = ""
        self._cluster, self._store, self._engine = cluster, store, engine
        self._reported: dict[int, float] = {}  # by trial: the resource its attempt has reported
        self._by_trial: dict[int, _Use] = {}
        self._sum = _Use()

    def change(self, engine: Engine) -> None:
        """Takes in what was made from a changed spec."""
        self._engine = engine

    def note(self, index: int, resource: float) -> None:
        """The trial's attempt has reported that much of the resource."""
        self._reported[index] = resource

    def see(self, index: int, pods: Sequence[Pod]) -> None:
        """These are the trial's pods now, and its record may have changed."""
        old = self._by_trial.pop(index, _Use())
        new = self._use(index, pods)
        if new != _Use():
            self._by_trial[index] = new
        if new != old:
            self._sum = _Use(*(s + n - o for s, n, o in zip(self._sum, new, old, strict=True)))

    def _use(self, index: int, pods: Sequence[Pod]) -> _Use:
        resource = self._store.resources.get(index)
        if resource is None:
            return _Use()
        used = running(pods, resource, self._store.study.gpu_resources)
        return _Use(
            Fraction(used.gpu_seconds),
            Fraction(used.gpus),
            Fraction(used.since),
            Fraction(self._unrecorded(index)),
        )

    def _unrecorded(self, index: int) -> float:
        """Units of the resource that an active trial's record does not say."""
        if index not in self._engine.indices_of_active:
            return 0.0
        reported = self._reported.get(index, 0.0)
        curve, trial = self._store.resources[index].curve, self._engine.trials[index]
        known = curve[-1].resource if curve else 0.0
        if reported <= known:
            return 0.0
        before = self._engine.resource_units(trial, known) if curve else 0.0
        return self._engine.resource_units(trial, reported) - before

    def spent(self) -> Spent:
        """What the study has spent so far, as far as its pods were looked at."""
        now = Fraction(self._cluster.now().timestamp())
        used = self._sum
        live = used.seconds + max(Fraction(), used.gpus * now - used.since)
        totals = self._store.totals
        return Spent(
            totals.gpu_seconds + float(live),
            self.elapsed,
            totals.resource_units + float(used.units),
            self.reached,
        )

    def until_reached(self) -> Iterator[float]:
        """Seconds until a bound of the budget is reached that no event would tell of."""
        study = self._store.study
        budget = study.study.budget
        if study.suspend:
            return
        if budget.seconds is not None and self.elapsed < budget.seconds:
            yield budget.seconds - self.elapsed
        if budget.gpu_seconds is not None and (gpus := float(self._sum.gpus)):
            used = self.spent().gpu_seconds
            if used < budget.gpu_seconds:
                yield (budget.gpu_seconds - used) / gpus
