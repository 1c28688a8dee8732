"""Writes a study's status and events: coalesced, and only what has changed."""

from collections.abc import Callable, Mapping
from typing import Any

from hyperband.api import names
from hyperband.api.status import (
    FAILED,
    READY,
    SUCCEEDED,
    WAITING,
    Blocked,
    conditions,
    counts_in_words,
    progress,
    suspended_seconds,
)
from hyperband.api.status import budget_reached as what_is_reached
from hyperband.api.times import in_seconds
from hyperband.backends.kubernetes.api_errors import Conflict
from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.objects import STUDIES
from hyperband.backends.kubernetes.recorder import Recorder
from hyperband.backends.kubernetes.waits import Waits, waits_for
from hyperband.core.decisions import Finish
from hyperband.core.engine import Engine
from hyperband.core.records import Spent, TrialState

QUIET_SECONDS = 1.0  # between two writes of one study's status
TIMED_SECONDS = 55.0  # between two that bring nothing but GPU time up to date; less than a resync
QUIET_TIMES = 20  # as long as it has taken to make it, at least
MAX_EXAMPLE = 400  # characters of what a waiting pod says
CONFLICTS = 5  # a spec is changed by people; more than a few in a row is something else


class ForeignStatusError(Exception):
    """Somebody else has written the study's status: what it came from may be out of date.

    Attributes:
        found: the study as it is.
    """

    def __init__(self, found: dict[str, Any]) -> None:
        super().__init__("its status was written by somebody else")
        self.found = found


class Publisher:
    """The status of one study."""

    def __init__(self, cluster: Cluster, recorder: Recorder) -> None:
        self._client, self._recorder = cluster.client, recorder
        self._now, self._monotonic = cluster.now, cluster.monotonic
        self._pace = cluster.statuses
        self._due = self._timed_due = 0.0
        self._has_turn = False  # whether `_due` is a moment that no other study has

    async def publish(
        self,
        body: dict[str, Any],
        *,
        engine: Engine | None = None,
        spent: Callable[[], Spent] = Spent,
        waiting: Callable[[], Waits] = dict,
        warm_start: Mapping[str, Any] | None = None,
        suspended: bool = False,
        blocked: Blocked | None = None,
        finish: Finish | None = None,
        budget_reached: str = "",
    ) -> tuple[dict[str, Any], float | None]:
        """Writes the status if it has changed and is not written too often.

        Args:
            body: the study's object as last seen.
            engine: None where the study's trials could not be read.
            spent: what has been spent; asked only when a status is due, as `waiting` is.
            waiting: what pods wait for.
            warm_start: what is known of the studies before it, if anything is.
            budget_reached: the bound that is found reached just now, in words; written at once.

        Returns:
            The object as found or written, and the seconds until there is more to write. If its
            spec has changed meanwhile, nothing was written: decide again.

        Raises:
            NotFound: the study has been deleted.
            ForeignStatusError: read everything again.
        """
        now = self._monotonic()
        urgent = finish is not None or bool(budget_reached)
        if now < self._due and not urgent:
            return body, soonest(self._due - now, await self._recorder.flush())
        old = body.get("status") or {}
        moment = self._now()
        time = in_seconds(moment)
        generation = body["metadata"].get("generation", 0)
        # What is known of the trials stays, also while they cannot be read.
        status: dict[str, Any] = {**old, "observedGeneration": generation}
        if engine is not None:
            status |= progress(engine, spent())
        if warm_start is not None:
            status["warmStart"] = dict(warm_start)
        if engine is not None and (blocked is None or engine.trials):
            status["startTime"] = old.get("startTime") or time
        if not suspended and (seconds := suspended_seconds(old, moment)):
            status["suspendedSeconds"] = round(seconds, 1)
        reached = self._note_budget(body, status, budget_reached, time)
        if finish is not None:
            status["completionTime"] = old.get("completionTime") or time
        waits = waiting()
        status["conditions"] = conditions(
            blocked=blocked,
            suspended=suspended,
            finish=finish,
            running=engine is not None and engine.states[TrialState.RUNNING] > 0,
            progress_message=_progress(engine, waits),
            waits_for=waits_for(waits),
            generation=generation,
            spent=reached,
            before=old.get("conditions") or [],
            now=time,
        )
        status = {key: value for key, value in status.items() if value is not None}
        news = urgent or now >= self._timed_due or not _only_time_passed(old, status)
        had_turn, self._has_turn = self._has_turn, False
        if old != status and news:
            if not (had_turn or urgent) and (turn := self._pace.reserve(now)) > now:
                self._due, self._has_turn = turn, True
                return body, soonest(turn - now, await self._recorder.flush())
            # What it takes to add up many trials is to stay a small part of all time.
            quiet = max(QUIET_SECONDS, QUIET_TIMES * (self._monotonic() - now))
            self._due, self._timed_due = now + quiet, now + TIMED_SECONDS
            body, written = await self._write(body, status)
            self._due = self._monotonic() + quiet  # it may have waited at the gate
            if not written:
                return body, 0.0
            self._announce(old, status)
        return body, await self._recorder.flush(last=finish is not None)

    def _note_budget(
        self, body: Mapping[str, Any], status: dict[str, Any], new: str, time: str
    ) -> str:
        """Writes that the budget is reached into the status; returns what holds of it now."""
        if new:
            budget = body["spec"]["budget"]
            status["budgetReached"] = {"message": new, "budget": budget, "time": time}
            self._recorder.note("BudgetReached", new)
        reached = what_is_reached({**body, "status": status})
        if not reached:  # the budget has been changed since
            status.pop("budgetReached", None)
        return reached

    async def amend(self, body: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """Adds to the status of a study that has finished; returns the object as found or written.

        Raises:
            NotFound: the study has been deleted.
        """
        return (await self._write(body, {**body["status"], **fields}))[0]

    async def _write(
        self, body: dict[str, Any], status: dict[str, Any]
    ) -> tuple[dict[str, Any], bool]:
        """Writes on top of whatever version there is, unless its spec or its status is another.

        What else has changed does not matter. Another status is that of another operator: one of
        the two is late, and only the records tell which.
        """
        found = body
        for _ in range(CONFLICTS):
            metadata = found["metadata"]
            whole = {
                "apiVersion": names.API_VERSION,
                "kind": names.STUDY_KIND,
                "metadata": {
                    "name": metadata["name"],
                    "resourceVersion": metadata["resourceVersion"],
                },
                "status": status,
            }
            try:
                async with self._pace.gate():
                    # The whole status: in a merge, parameters of an earlier best would stay.
                    written = await self._client.replace_status(
                        STUDIES, metadata["namespace"], metadata["name"], whole, dict
                    )
            except Conflict:
                found = await self._client.get(
                    STUDIES, metadata["namespace"], metadata["name"], dict
                )
                if found["metadata"]["uid"] != metadata["uid"]:
                    raise
                if found["metadata"]["generation"] != body["metadata"]["generation"]:
                    return found, False
                if found.get("status") == status:  # an earlier try got through
                    return found, True
                if found.get("status") != body.get("status"):
                    raise ForeignStatusError(found) from None
            else:
                return written, True
        raise Conflict(409, message="the study's status changes all the time")

    def _announce(self, old: Mapping[str, Any], status: Mapping[str, Any]) -> None:
        """An event for each condition that has turned into news."""
        before = {c["type"]: (c["status"], c["reason"]) for c in old.get("conditions") or []}
        for condition in status["conditions"]:
            kind, reason = condition["type"], condition["reason"]
            if before.get(kind) == (condition["status"], reason):
                continue
            if kind == READY:
                warning = condition["status"] == "False" and reason != WAITING
                self._recorder.note(reason, condition["message"], warning=warning)
            elif kind == FAILED and condition["status"] == "True":
                self._recorder.note(reason, condition["message"], warning=True)
            elif kind == SUCCEEDED and condition["status"] == "True":
                self._recorder.note(reason, condition["message"])


def _only_time_passed(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return {**old, "gpuSeconds": 0} == {**new, "gpuSeconds": 0}


def _progress(engine: Engine | None, waiting: Waits) -> str:
    if engine is None:
        return "nothing has started"
    text = counts_in_words(engine)
    if waiting:
        reasons = ", ".join(
            f"{reason} {count} ({example[:MAX_EXAMPLE]})"
            for reason, (count, example) in sorted(waiting.items())
        )
        text += f"; pods wait: {reasons}"
    return text


def soonest(*seconds: float | None) -> float | None:
    """The least of them; None if there is nothing to wait for."""
    return min((each for each in seconds if each is not None), default=None)
