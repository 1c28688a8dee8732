"""Writes what is decided on a study's trials, and tells of it: records, figures, log, events."""

import asyncio
import logging

from hyperband.api import names
from hyperband.api.metrics import NO_REPORTS, Reports
from hyperband.api.study import StudyResource
from hyperband.api.trial import AttemptRecord, TrialResource
from hyperband.backends.kubernetes.accounts import is_open
from hyperband.backends.kubernetes.api_errors import Conflict, KubernetesError, UnknownOutcome
from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.recorder import Recorder
from hyperband.backends.kubernetes.request_slots import urgently
from hyperband.backends.kubernetes.store import TrialStore
from hyperband.backends.kubernetes.telemetry.context import about
from hyperband.backends.kubernetes.telemetry.figures import StudyFigures
from hyperband.core.decisions import Action, Decision, Reason
from hyperband.core.engine import Engine
from hyperband.core.records import Trial

log = logging.getLogger(__name__)

_QUIET = {Action.RUN}  # needs no event: the pod has its own
_WARNINGS = {Reason.DISRUPTED, Reason.ATTEMPT_FAILED, Reason.NO_FINAL_REPORT}
_WARNINGS |= {Reason.RETRIES_EXHAUSTED, Reason.DIVERGED}


class Scribe:
    """The records of one study's trials, as written and as decided on.

    Attributes:
        study: as its spec was last read.
        engine: decides; built anew for another spec.
        store: the records as written.
        recorder: of the study's events.
    """

    def __init__(
        self,
        cluster: Cluster,
        study: StudyResource,
        store: TrialStore,
        engine: Engine,
        recorder: Recorder,
        figures: StudyFigures,
    ) -> None:
        self.study, self.engine, self.store, self.recorder = study, engine, store, recorder
        self._cluster, self._figures = cluster, figures
        self._heard: dict[int, float] = {}  # by trial: since when news of it wait for a look
        # Held from a decision that counts what others have reached until its record is written.
        self._order = asyncio.Lock()
        # Why it is not known whether the last one is: no number may be given out after it.
        self._unsure: BaseException | None = None

    def change(self, study: StudyResource) -> None:
        """Takes in a changed spec."""
        self.study = self.store.study = study
        begin = self.engine.all_started_below
        self.engine = Engine(study.study, self.engine.trials.values())
        self.engine.start_missing(begin)

    def news_came(self, index: int) -> None:
        """From now on the trial's next decision is waited for."""
        self._heard.setdefault(index, self._cluster.monotonic())

    def news_taken_in(self, index: int) -> None:
        """There is nothing more to decide on what was heard."""
        self._heard.pop(index, None)

    async def commit(
        self,
        decision: Decision,
        reports: Reports = NO_REPORTS,
        attempt: AttemptRecord | None = None,
    ) -> Trial:
        """Writes a decision; what it asks for is done by a look at the trial.

        Returns:
            The record as written.
        """
        trial = await self.store.commit(self.engine, decision, reports, attempt)
        self._figures.decided(decision)
        if (since := self._heard.get(trial.index)) is not None:
            latency = self._cluster.monotonic() - since
            self._cluster.metrics.decision_latency.observe(latency)
        name, reason = self.trial_name(trial.index), decision.reason
        with about(self.study.namespace, self.study.name, name):
            log.info(
                "%s/%s: %s (%s): %s",
                *(self.study.namespace, name),
                *(decision.action.value, reason.value, decision.message),
            )
        if decision.action not in _QUIET:
            message = f"{name}: {decision.message}"
            self.recorder.note(reason.value, message, warning=reason in _WARNINGS)
        return trial

    async def record(self, index: int, reports: Reports, attempt: AttemptRecord) -> None:
        """Writes what reports lead to, judged by all that is recorded until then.

        One trial after the other: a value's number, and its rank, count those before it.
        """
        async with self._order:
            if self._unsure is not None:
                raise self._unsure
            decision = self.engine.observe(index, reports.reports)
            if decision is None:
                return
            try:
                with urgently():
                    await self.commit(decision, reports, attempt)
            except BaseException as error:
                refused = isinstance(error, KubernetesError)
                if not refused or isinstance(error, Conflict | UnknownOutcome):
                    self._unsure = error
                raise

    async def progress(
        self, index: int, reports: Reports = NO_REPORTS, attempt: AttemptRecord | None = None
    ) -> None:
        """Writes what goes with a trial but decides nothing: its curve, its account."""
        await self.store.record_progress(index, reports, attempt)

    async def show(self, index: int, attempt: AttemptRecord | None = None) -> None:
        """Writes the record of a trial that has to wait; without waiting, running is next.

        A pod that its node has accepted holds its devices, also while its image is pulled.
        """
        known = self.resource(index)
        if attempt is None or attempt.start_time is None or is_open(known, attempt.number):
            attempt = None
        if known.transition_time is None or attempt is not None:
            await self.progress(index, attempt=attempt)

    def resource(self, index: int) -> TrialResource:
        """The trial as it was last written or read."""
        return self.store.resources[index]

    def trial_name(self, index: int) -> str:
        """Of the trial's object."""
        return names.trial_name(self.study.name, index)

    def pod_name(self, trial: Trial) -> str:
        """Of the trial's current attempt."""
        return names.pod_name(self.study.name, trial.index, trial.attempt)
