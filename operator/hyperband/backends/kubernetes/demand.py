"""How many of a study's pods may wait for a node at once.

Pods that find no node are what makes a cluster grow, and what floods one that does not: schedulers
and autoscalers try each of them again and again. So a study shows as many as the cluster follows.
"""

from collections.abc import Callable, Iterable

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


def room(pods: Iterable[Pod], initial: int) -> int:
    """How many more of a study's pods may be made, by its living ones; negative if too many.

    As many may wait as have a node, but no fewer than `initial`: a study doubles with each step in
    which the cluster follows, and asks for no more while it does not. Nothing is remembered, so a
    new process comes to the same.
    """
    waiting = placed = 0
    for pod in pods:
        if waits_for_node(pod):
            waiting += 1
        elif _has_node(pod):
            placed += 1
    return max(initial, placed) - waiting


class Demand:
    """What one study may still ask of its cluster, counted once a pass.

    Args:
        pods: its living ones.

    Attributes:
        withheld: trials whose next pod is made once others have a node, by index.
    """

    def __init__(self, pods: Callable[[], Iterable[Pod]]) -> None:
        self.withheld: set[int] = set()
        self._pods = pods
        self._room: int | None = None

    def begin_pass(self) -> None:
        """Pods are to be counted again."""
        self._room = None

    def permits(self, study: StudyResource) -> bool:
        """Whether another pod may be made. Pods for a queue are the queue's to bound."""
        if study.template.is_gated:
            return True
        if self._room is None:
            self._room = room(self._pods(), study.scheduling.initial_pods)
        return self._room > 0

    def note(self, pod: Pod) -> None:
        """A pod was made."""
        if self._room is not None and waits_for_node(pod):
            self._room -= 1
