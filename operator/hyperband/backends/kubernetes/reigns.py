"""What is to be said of all scopes of a process together, to probes and metrics."""

from collections.abc import Mapping, Sequence
from typing import Any

from hyperband.backends.kubernetes.informer import Informer
from hyperband.backends.kubernetes.manager import Manager
from hyperband.backends.kubernetes.objects import ARCHIVES, PODS, TRIALS
from hyperband.backends.kubernetes.reign import Reign

KINDS = tuple(kind.plural for kind in (PODS, TRIALS, ARCHIVES))


class Reigns:
    """One for all namespaces, or one for each of those that are listed."""

    def __init__(self, reigns: Sequence[Reign]) -> None:
        self._reigns = reigns
        self._managers = {reign.scope: reign.manager for reign in reigns}

    def manager(self, namespace: str) -> Manager:
        """Whose the studies there are."""
        return self._managers.get(namespace) or self._managers[None]

    def informers(self) -> Mapping[str, Sequence[Informer[Any]]]:
        """Those that run now, by resource."""
        running = [informer for reign in self._reigns for informer in reign.informers]
        return {
            kind: [informer for informer in running if informer.kind.plural == kind]
            for kind in KINDS
        }

    def waiting(self) -> tuple[int, int]:
        """How many studies, and how many trials, are still to be looked at."""
        studies, trials = zip(*(reign.manager.waiting() for reign in self._reigns), strict=True)
        return sum(studies), sum(trials)

    def leading(self) -> Mapping[str | None, bool]:
        """Where this process leads and where not, by namespace; None is all of them."""
        return {reign.scope: reign.election.leading for reign in self._reigns}

    # -- what is wrong, in words; empty if nothing is ------------------------------------------

    def dead(self) -> str:
        """A task that has ended and never should."""
        return next(filter(None, (reign.dead() for reign in self._reigns)), "")

    def unsynced(self, kind: str) -> str:
        complete = all(informer.synced.is_set() for informer in self.informers()[kind])
        return "" if complete else "not all of them are listed yet"

    def not_working(self) -> str:
        return next(filter(None, (reign.why_not_working() for reign in self._reigns)), "")

    def why_not_leading(self) -> str:
        """Of several namespaces one is enough, or none where other processes have them all."""
        elections = [reign.election for reign in self._reigns]
        if any(each.leading for each in elections):
            return ""
        if len(elections) > 1 and all(each.is_taken for each in elections):
            return ""
        return "; ".join(each.why_not_leading() for each in elections)
