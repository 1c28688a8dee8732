"""Living pods that hold slots which no record of a trial tells of.

They are of trials that are decided, until they have ended; of trials whose objects somebody has
deleted; and some have lost their labels, so that they are not in sight.
"""

from collections.abc import Collection, Sequence

from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.matching import alive
from hyperband.backends.kubernetes.objects import Pod
from hyperband.backends.kubernetes.scribe import Scribe
from hyperband.backends.kubernetes.study_pods import StudyPods

STRAY_SECONDS = 2.0  # until a pod that lost its labels is looked for again


class Lingering:
    """Those of one study.

    Args:
        orphaned: uids of trial objects that somebody deleted.

    Attributes:
        stray_due: when pods that have lost their labels are to be looked for again.
    """

    def __init__(
        self, cluster: Cluster, scribe: Scribe, pods: StudyPods, orphaned: set[str]
    ) -> None:
        self.stray_due: float | None = None
        self._monotonic, self._scribe, self._pods = cluster.monotonic, scribe, pods
        self._orphaned = orphaned
        self._counts: dict[int, int] = {}  # by trial that holds no slot

    @property
    def trials(self) -> Collection[int]:
        """Those that hold no slot, but pods of them do."""
        return self._counts.keys()

    def slots(self) -> int:
        """How many they hold."""
        orphans = sum(len(alive(self._pods.of(uid))) for uid in self._orphaned)
        return sum(self._counts.values()) + orphans

    def see(self, index: int, living: Sequence[Pod]) -> None:
        """These are the trial's living pods in sight."""
        if living and not self._is_active(index):
            self._counts[index] = len(living)
        else:
            self._counts.pop(index, None)

    def look_for_strays(self, now: float) -> bool:
        """Whether it is time for that; to be asked once."""
        if self.stray_due is None or self.stray_due > now:
            return False
        self.stray_due = None
        return True

    async def end_stray(self, pod: Pod, index: int) -> None:
        """Ends a living pod that has lost its labels; until it is gone it holds its slot."""
        text = f"pod {pod.metadata.name} has lost its labels"
        self._scribe.recorder.note("LabelsRemoved", text, warning=True)
        await self._pods.delete(pod, "it has lost its labels")
        self.stray_due = self._monotonic() + STRAY_SECONDS
        if not self._is_active(index):
            self._counts[index] = 1

    async def end_orphans(self) -> None:
        """Ends the pods of trial objects that are gone, before the garbage collector does."""
        for uid in list(self._orphaned):
            living = alive(self._pods.of(uid))
            if not living:
                self._orphaned.discard(uid)
            for pod in living:
                await self._pods.delete(pod, "its trial was deleted")

    def _is_active(self, index: int) -> bool:
        return self._scribe.engine.trials[index].state.active
