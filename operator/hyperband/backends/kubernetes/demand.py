"""How many of a study's pods may wait for a node at once.

Pods that find no node are what makes a cluster grow, and what floods one that does not: schedulers
and autoscalers try each of them again and again. So a study shows as many as the cluster follows.
"""

from collections.abc import Iterable

from hyperband.api.study import StudyResource
from hyperband.backends.kubernetes.attempts import is_ending
from hyperband.backends.kubernetes.objects import Pod


def waits_for_node(pod: Pod) -> bool:
    """Whether the scheduler has still to find a node for it, and may.

    So does one that nobody has looked at yet. One with a gate is in a queue, which is another
    matter.
    """
    return not (_has_node(pod) or pod.spec.scheduling_gates or is_ending(pod))


def _has_node(pod: Pod) -> bool:
    return bool(pod.spec.node_name) or pod.status.phase not in ("", "Pending")


class Demand:
    """What one study may still ask of its cluster.

    As many pods may wait as have a node, but no fewer than `initialPods`: a study doubles with each
    step in which the cluster follows, and asks for no more while it does not. It is counted from
    the pods that are there, so a new process comes to the same; trial by trial, as they are many.

    Attributes:
        withheld: trials whose next pod is made once others have a node, by index.
    """

    def __init__(self) -> None:
        self.withheld: set[int] = set()
        self._by_trial: dict[int, tuple[int, int]] = {}
        self._waiting = self._placed = 0

    def see(self, index: int, living: Iterable[Pod]) -> None:
        """These are the trial's living pods now."""
        waiting = placed = 0
        for pod in living:
            if waits_for_node(pod):
                waiting += 1
            elif _has_node(pod):
                placed += 1
        self._put(index, waiting, placed)

    def expect(self, index: int) -> None:
        """A pod of the trial is about to be made."""
        waiting, placed = self._by_trial.get(index, (0, 0))
        self._put(index, waiting + 1, placed)

    def _put(self, index: int, waiting: int, placed: int) -> None:
        before = self._by_trial.pop(index, (0, 0))
        if waiting or placed:
            self._by_trial[index] = (waiting, placed)
        self._waiting += waiting - before[0]
        self._placed += placed - before[1]

    def room(self, initial: int) -> int:
        """How many more pods may be made; negative if there are too many."""
        return max(initial, self._placed) - self._waiting

    def permits(self, study: StudyResource) -> bool:
        """Whether another pod may be made. Pods for a queue are the queue's to bound."""
        return study.template.is_gated or self.room(study.scheduling.initial_pods) > 0
