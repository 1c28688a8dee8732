"""What the operator archives, removes and deletes: each only when it may, and all of it at last."""

import copy
from collections.abc import Callable
from datetime import datetime, timedelta

from hyperband.api.archive import unpack
from hyperband.api.durations import parse_duration
from hyperband.api.status import budget_reached, is_finished
from hyperband.backends.kubernetes.objects import ARCHIVES, STUDIES, TRIALS, Kind
from hyperband.core.decisions import Reason
from tests.chaos import pods
from tests.chaos.invariants import is_best, trials_of
from tests.chaos.pods import Body
from tests.chaos.server import Server


class Remains:
    """Watches one study on the server, and keeps what it was when it was deleted.

    Attributes:
        wrong: what should not have been done, in words.
        removed: the trials whose checkpoints clean-up pods have removed.
    """

    def __init__(self, server: Server, name: str, now: Callable[[], datetime]) -> None:
        self.wrong: list[str] = []
        self.removed: set[int] = set()
        self._server, self._name, self._now = server, name, now
        self._unpacked: dict[str, list[Body]] = {}  # by uid of the archive
        self._last: tuple[Body, list[Body]] | None = None  # the study, and all its records

    # -- what there is --------------------------------------------------------------------------

    @property
    def deleted(self) -> bool:
        """Whether the study is."""
        return self._last is not None

    @property
    def study(self) -> Body:
        """As it is, or was last."""
        if self._last is not None:
            return self._last[0]
        found = self._server.find(STUDIES, self._name)
        assert found is not None
        return found

    @property
    def records(self) -> list[Body]:
        """All records of trials, archived ones first; one may be in an archive and an object."""
        if self._last is not None:
            return self._last[1]
        return [*self._archived(), *self._server.bodies(TRIALS)]

    @property
    def trials(self) -> list[Body]:
        """The records, by index; where there is an object with a status, that one counts."""
        records = sorted(self.records, key=lambda body: bool(body.get("status")))
        by_index = {int(body["spec"]["index"]): body for body in records}
        return trials_of(list(by_index.values()), self._name)

    def _archived(self) -> list[Body]:
        found = self._server.bodies(ARCHIVES)
        for archive in found:
            uid = archive["metadata"]["uid"]
            if uid not in self._unpacked:
                self._unpacked[uid] = unpack(archive["spec"])
        return [body for each in found for body in self._unpacked[each["metadata"]["uid"]]]

    # -- what happens ---------------------------------------------------------------------------

    def written(self, trial: Body) -> None:
        """A trial's record was written."""
        if trial["status"].get("reason") != Reason.STUDY_ENDED or self.study["spec"].get("stop"):
            return
        by_target = any(
            t.get("status", {}).get("reason") == Reason.TARGET_REACHED for t in self.trials
        )
        if not by_target and not budget_reached(self.study):
            name = trial["metadata"]["name"]
            self.wrong.append(f"{name} was stopped before the status named a reason")

    def gone(self, kind: Kind, body: Body) -> None:
        """An object was deleted."""
        name = body["metadata"]["name"]
        if kind is STUDIES:
            records = [*self._archived(), *self._server.bodies(TRIALS)]
            self._last = copy.deepcopy((body, records))
            self._check_deletion()
        elif self.deleted:
            return
        elif kind is TRIALS and not any(_same(body, other) for other in self._archived()):
            self.wrong.append(f"{name} was deleted before it was archived")
        elif kind is ARCHIVES:
            self.wrong.append(f"{name} was deleted")

    def _check_deletion(self) -> None:
        ttl = self.study["spec"].get("ttlAfterFinished")
        end = self.study["status"].get("completionTime")
        if ttl is None or end is None:
            self.wrong.append("the study was deleted")
        elif self._now() < datetime.fromisoformat(end) + timedelta(seconds=parse_duration(ttl)):
            self.wrong.append("the study was deleted too early")

    def cleaner_made(self, pod: Body) -> None:
        """A clean-up pod is there: what it removes is gone for good."""
        if self.deleted:  # by a dead operator's call; the study was over before
            return
        over = {"Stopped", "Failed"}
        if is_finished(self.study.get("status") or {}):
            over |= {"Paused"}
        trials = {int(trial["spec"]["index"]): trial for trial in self.trials}
        for index in pods.removes(pod):
            state = trials[index].get("status", {}).get("state")
            if state not in over or is_best(self.study, list(trials.values()), index):
                self.wrong.append(f"the checkpoint of trial {index} ({state}) is removed")

    def cleaned(self, pod: Body) -> None:
        """A clean-up pod has done its work."""
        self.removed |= pods.removes(pod)

    # -- what is left ---------------------------------------------------------------------------

    def check(self, *, exact: bool) -> None:
        """After the study's end and its deletion, if that is wanted.

        Args:
            exact: whether no more than one thing went wrong, so that nothing was given up.

        Raises:
            AssertionError: something does not hold.
        """
        assert not self.wrong, "; ".join(self.wrong)
        spec, status = self.study["spec"], self.study["status"]
        if "ttlAfterFinished" in spec:
            assert self.deleted, "the study is not deleted"
            assert not self._server.left(), f"left over: {self._server.left()}"
        # Without a status it is a dead operator's late call that came to nothing.
        records = [body for body in self.records if body.get("status")]
        indices = sorted(int(body["spec"]["index"]) for body in records)
        assert len(set(indices)) == len(indices), f"recorded twice: {indices}"
        if spec.get("checkpoint", {}).get("cleanUp") == "Remove":
            told = status["checkpointsRemoved"]
            assert told <= len(self.removed), f"{told} removed, but it was {self.removed}"
            if exact:
                assert self.removed == self._unneeded(), f"{self.removed}, not {self._unneeded()}"
                assert told == len(self.removed)
        if exact and spec.get("retention", {}).get("trials") == 0 and self.deleted:
            rows = [trial["metadata"] for trial in self.records]
            objects = [
                row["name"] for row in rows if "ownerReferences" in row
            ]  # not of archived ones
            assert not objects, f"never archived: {objects}"

    def _unneeded(self) -> set[int]:
        trials = self.trials
        over = [t for t in trials if t["status"]["state"] in ("Stopped", "Failed", "Paused")]
        indices = {int(t["spec"]["index"]) for t in over}
        return {index for index in indices if not is_best(self.study, trials, index)}


def _same(trial: Body, archived: Body) -> bool:
    """Whether the archive has the trial's record; a late twin of it, made in vain, has none."""
    if not trial.get("status"):
        return bool(trial["spec"]["index"] == archived["spec"]["index"])
    uids = {body["metadata"]["uid"] for body in (trial, archived)}
    return len(uids) == 1 and trial["status"] == archived["status"]
