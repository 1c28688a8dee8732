"""Writes a study's status and events: coalesced, and only what has changed."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from hyperband.api import names
from hyperband.api.status import Account, Blocked, conditions, progress
from hyperband.backends.kubernetes.api_errors import Conflict
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.objects import STUDIES
from hyperband.backends.kubernetes.recorder import Recorder
from hyperband.core.decisions import Finish
from hyperband.core.engine import Engine
from hyperband.core.records import TrialState

QUIET_SECONDS = 1.0  # between two writes of one study's status
MAX_EXAMPLE = 300  # characters of what a waiting pod says
CONFLICTS = 5  # a spec is changed by people; more than a few in a row is something else

Waiting = Mapping[str, tuple[int, str]]


class Publisher:
    """The status of one study."""

    def __init__(
        self,
        client: Client,
        recorder: Recorder,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._client, self._recorder = client, recorder
        self._now, self._monotonic = now, monotonic
        self._due = 0.0

    async def publish(
        self,
        body: dict[str, Any],
        *,
        engine: Engine | None = None,
        account: Account | None = None,
        waiting: Waiting | None = None,
        suspended: bool = False,
        blocked: Blocked | None = None,
        finish: Finish | None = None,
    ) -> tuple[dict[str, Any], float | None]:
        """Writes the status if it has changed and is not written too often.

        Args:
            body: the study's object as last seen.
            engine: None where the study never came so far.
            waiting: why pods wait: for each reason how many, and one of them in words.

        Returns:
            The object as it now is, and the seconds until there is more to write.

        Raises:
            NotFound: the study has been deleted.
        """
        now = self._monotonic()
        if now < self._due and finish is None:
            return body, _soonest(self._due - now, await self._recorder.flush())
        old = body.get("status") or {}
        time = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        generation = body["metadata"].get("generation", 0)
        status: dict[str, Any] = {"observedGeneration": generation}
        if engine is not None:
            status |= progress(engine, account or Account())
        status["startTime"] = old.get("startTime") or time
        if finish is not None:
            status["completionTime"] = old.get("completionTime") or time
        status["conditions"] = conditions(
            blocked=blocked,
            suspended=suspended,
            finish=finish,
            progress_message=_progress(engine, waiting or {}),
            generation=generation,
            before=old.get("conditions") or [],
            now=time,
        )
        status = {key: value for key, value in status.items() if value is not None}
        if old != status:
            self._due = now + QUIET_SECONDS
            body = await self._write(body, status)
            self._announce(old, status)
        return body, await self._recorder.flush(last=finish is not None)

    async def _write(self, body: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
        """Writes on top of whatever version of the object there is: the status is ours alone."""
        metadata = body["metadata"]
        for _ in range(CONFLICTS):
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
                # The whole status: in a merge, parameters of an earlier best would stay.
                return await self._client.replace_status(
                    STUDIES, metadata["namespace"], metadata["name"], whole, dict
                )
            except Conflict:
                found: dict[str, Any] = await self._client.get(
                    STUDIES, metadata["namespace"], metadata["name"], dict
                )
                if found["metadata"]["uid"] != metadata["uid"]:
                    raise
                metadata = found["metadata"]
        raise Conflict(409, message="the study's status changes all the time")

    def _announce(self, old: Mapping[str, Any], status: Mapping[str, Any]) -> None:
        """An event for each condition that has turned into news."""
        before = {c["type"]: (c["status"], c["reason"]) for c in old.get("conditions") or []}
        for condition in status["conditions"]:
            kind, reason = condition["type"], condition["reason"]
            if before.get(kind) == (condition["status"], reason):
                continue
            if kind == "Ready":
                warning = condition["status"] == "False"
                self._recorder.note(reason, condition["message"], warning=warning)
            elif kind == "Failed" and condition["status"] == "True":
                self._recorder.note(reason, condition["message"], warning=True)
            elif kind == "Succeeded" and condition["status"] == "True":
                self._recorder.note(reason, condition["message"])


def _progress(engine: Engine | None, waiting: Waiting) -> str:
    if engine is None:
        return "nothing has started"
    counts = ", ".join(f"{engine.states[state]} {state.value.lower()}" for state in TrialState)
    text = f"{len(engine.trials)} of {engine.study.max_trials} trials: {counts}"
    if waiting:
        reasons = ", ".join(
            f"{reason} {count} ({example[:MAX_EXAMPLE]})"
            for reason, (count, example) in sorted(waiting.items())
        )
        text += f"; pods wait: {reasons}"
    return text


def _soonest(*moments: float | None) -> float | None:
    return min((moment for moment in moments if moment is not None), default=None)
