"""What a study has spent: as its records say, and what its pods have used since."""

from collections.abc import Iterator, Mapping

from hyperband.backends.kubernetes.accounts import running
from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.store import TrialStore
from hyperband.backends.kubernetes.study_pods import StudyPods
from hyperband.core.budgets import exceeded
from hyperband.core.engine import Engine
from hyperband.core.records import Spent


class Meter:
    """Adds up one study's spending.

    Args:
        lingering: the living pods of trials that hold no slot, by trial; kept up by its owner.

    Attributes:
        elapsed: seconds since the study's start, without those for which it was suspended; kept up
            by the study's task, as is
        reached: in words, the bound of the budget that is known to be reached.
    """

    def __init__(
        self,
        cluster: Cluster,
        store: TrialStore,
        pods: StudyPods,
        engine: Engine,
        lingering: Mapping[int, int],
    ) -> None:
        self.elapsed = 0.0
        self.reached = ""
        self._cluster, self._store, self._lingering = cluster, store, lingering
        self._pods, self._engine = pods, engine
        self._used: tuple[float, float] | None = None  # GPU-seconds and GPUs, as of this pass
        self._reported: dict[int, float] = {}  # by trial: the resource its attempt has reported

    def change(self, pods: StudyPods, engine: Engine) -> None:
        """Takes in what was made from a changed spec."""
        self._pods, self._engine = pods, engine

    def begin_pass(self) -> None:
        """What pods have used is to be added up again."""
        self._used = None

    def note(self, index: int, resource: float) -> None:
        """The trial's attempt has reported that much of the resource."""
        self._reported[index] = resource

    def spent(self) -> Spent:
        """What the study has spent so far."""
        self._used = None  # it is to be exact
        return Spent(self._gpu_seconds()[0], self.elapsed, self._resource_units())

    def bounded(self) -> Spent:
        """What has been spent of what the budget has bounds for; the rest takes time to add up."""
        budget = self._store.study.study.budget
        return Spent(
            0.0 if budget.gpu_seconds is None else self._gpu_seconds()[0],
            self.elapsed,
            0.0 if budget.resource_units is None else self._resource_units(),
            self.reached,
        )

    def exceeded(self) -> str:
        """The bound of the budget that is reached, in words; empty if none is."""
        return exceeded(self._store.study.study, self.bounded())

    def until_reached(self) -> Iterator[float]:
        """Seconds until a bound of the budget is reached that no event would tell of."""
        study = self._store.study
        budget = study.study.budget
        if study.suspend:
            return
        if budget.seconds is not None and self.elapsed < budget.seconds:
            yield budget.seconds - self.elapsed
        if budget.gpu_seconds is not None:
            used, gpus = self._gpu_seconds()
            if gpus and used < budget.gpu_seconds:
                yield (budget.gpu_seconds - used) / gpus

    def _gpu_seconds(self) -> tuple[float, float]:
        """Of all pods, and the GPUs held just now; added up once a pass, as pods may be many."""
        if self._used is not None:
            return self._used
        seconds, gpus = self._store.totals.gpu_seconds, 0.0
        live = self._engine.indices_of_active | self._lingering.keys()
        now, kinds = self._cluster.now(), self._store.study.gpu_resources
        for index in live & self._store.resources.keys():
            resource = self._store.resources[index]
            used = running(self._pods.of(resource.uid), resource, kinds, now)
            seconds, gpus = seconds + used.gpu_seconds, gpus + used.gpus
        self._used = seconds, gpus
        return self._used

    def _resource_units(self) -> float:
        """Also what was reported since a trial's record was last written."""
        units = self._store.totals.resource_units
        for index in self._engine.indices_of_active & self._reported.keys():
            curve, trial = self._store.resources[index].curve, self._engine.trials[index]
            known = curve[-1].resource if curve else 0.0
            if self._reported[index] > known:
                units += self._engine.resource_units(trial, self._reported[index])
                units -= self._engine.resource_units(trial, known) if curve else 0.0
        return units
