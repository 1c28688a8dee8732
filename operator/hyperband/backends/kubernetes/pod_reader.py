"""What the pods of a trial tell, brought into its record: values, that they run, how they end."""

from hyperband.api import names
from hyperband.api.metrics import NO_REPORTS, Reports
from hyperband.backends.kubernetes.accounts import GONE, account, begun, lost
from hyperband.backends.kubernetes.attempts import (
    attempt_number,
    failed_early,
    is_ending,
    mark,
    trains,
    waiting_reason,
)
from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.lingering import Lingering
from hyperband.backends.kubernetes.meter import Meter
from hyperband.backends.kubernetes.objects import Pod
from hyperband.backends.kubernetes.overtime import Overtime
from hyperband.backends.kubernetes.probing import tells
from hyperband.backends.kubernetes.scribe import Scribe
from hyperband.backends.kubernetes.sightings import Sighting, sight
from hyperband.backends.kubernetes.study_pods import Found, StudyPods, owner_uid
from hyperband.core.decisions import Decision, Outcome
from hyperband.core.engine import Engine
from hyperband.core.records import Trial, TrialState

SUSPENDED = "the study is suspended"  # why a pod is ended


class PodReader:
    """Reads the pods of one study's trials.

    Args:
        gone: by trial: deleted pods whose last words are still to be read.

    Attributes:
        suspects_template: whether attempts have ended since it was judged that tell of it.
        failed_once: whether any ever has.
    """

    def __init__(
        self,
        cluster: Cluster,
        scribe: Scribe,
        pods: StudyPods,
        meter: Meter,
        *,
        overtime: Overtime,
        gone: dict[int, list[Pod]],
        lingering: Lingering,
    ) -> None:
        self.suspects_template = True
        ends = (attempt for each in scribe.store.resources.values() for attempt in each.attempts)
        self.failed_once = any(map(tells, ends))
        self._cluster, self._scribe, self._pods = cluster, scribe, pods
        self._meter, self._overtime, self._gone = meter, overtime, gone
        self._lingering = lingering
        self._heard: set[str] = set()  # names of metrics that were reported
        self._missed: set[str] = set()  # those of targets that were not, and of which was warned

    @property
    def _engine(self) -> Engine:
        return self._scribe.engine

    def has_news(self, trial: Trial) -> bool:
        """Whether the trial's pod tells, or told, something that its record does not say."""
        pods = self._pods.of(self._scribe.resource(trial.index).uid)
        pod = next((pod for pod in pods if attempt_number(pod) == trial.attempt), None)
        if pod is None or trial.index in self._gone:
            return True
        seen = self._sight(pod)
        if seen.ended or failed_early(pod) or is_ending(pod):
            return True
        return self._engine.observe(trial.index, seen.reports.reports) is not None

    async def read(self, index: int) -> bool:
        """Takes in what the trial's pods tell; True if the end of one has to be waited for."""
        uid = self._scribe.resource(index).uid
        gone = self._gone.get(index, [])
        for pod in sorted(gone, key=_age):
            if owner_uid(pod) == uid and await self._search(pod, index):
                return True
            gone.remove(pod)  # only now: a failed write above must find it again
        if not gone:  # another one may have gone meanwhile
            self._gone.pop(index, None)
        pods = sorted(self._pods.of(uid), key=_age)
        for pod in pods:
            await self._take(index, self._sight(pod))
        number = self._attempt_that_ran(index)
        unseen = number is not None and all(attempt_number(pod) != number for pod in pods)
        return number is not None and unseen and await self._search_attempt(index, number)

    def reports(self, pod: Pod) -> bool:
        """Whether its training has reported anything."""
        return bool(self._sight(pod).reports.reports)

    def _sight(self, pod: Pod, gone: bool = False) -> Sighting:
        """What is to be seen of a pod."""
        return sight(pod, self._scribe.study.study, gone)

    def _attempt_that_ran(self, index: int) -> int | None:
        """The attempt whose pod was seen running and not to end, if there is one."""
        trial, known = self._engine.trials[index], self._scribe.resource(index).open_attempt
        if known is not None:
            return known.number
        return trial.attempt if trial.state is TrialState.RUNNING else None

    async def _search_attempt(self, index: int, number: int) -> bool:
        """Takes in what became of a pod that nobody saw go; True if its end is to be waited for."""
        name = names.pod_name(self._scribe.study.name, index, number)
        found = await self._pods.search(name, self._scribe.resource(index).uid, None)
        if found.last is None and found.stray is None and not found.in_sight:
            await self._lose(index, number)
            return False
        return await self._take_found(found, index)

    async def _take(self, index: int, seen: Sighting) -> None:
        """What one pod tells about its trial: values, that it runs, that it has ended."""
        pod, reports = seen.pod, seen.reports
        current = attempt_number(pod) == self._engine.trials[index].attempt
        if current:
            if reports.reports:
                self._meter.note(index, reports.reports[-1].resource)
                self._look_for_targets(reports)
            # With the first that is written of it, whatever that is, or its bill may be lost.
            attempt = begun(pod)
            if self._engine.observe(index, reports.reports) is not None:
                await self._scribe.record(index, reports, attempt)
            if trains(pod) and (decision := self._engine.seen_running(index)):
                await self._scribe.commit(decision, reports, attempt)
            elif waiting_reason(pod, self._cluster.now()) is not None:
                await self._scribe.show(index, attempt)
        if seen.ended:
            await self._take_end(index, seen, current)
        elif current and failed_early(pod) and (decision := self._end_of(index, seen)):
            await self._scribe.commit(decision, reports)
        else:
            await self._take_report_error(index, seen)

    def _look_for_targets(self, reports: Reports) -> None:
        """Warns of targets whose metric nobody reports: it may be misspelled."""
        study = self._scribe.study.study
        self._heard.add(study.objective.metric)
        self._heard.update(name for report in reports.reports for name in report.metrics)
        missing = {target.metric for target in study.targets} - self._heard
        if missing and self._engine.best is not None and not missing <= self._missed:
            self._missed |= missing
            self._scribe.recorder.note(
                "TargetNotReported",
                f"no report has held {', '.join(sorted(missing))} (spec.earlyStopping), only "
                f"{', '.join(sorted(self._heard))}",
                warning=True,
            )

    async def _take_end(self, index: int, seen: Sighting, current: bool) -> None:
        """The end of a pod: what it leads to, and what it has cost, in one write."""
        self._overtime.forget(seen.pod.metadata.uid)
        now = self._cluster.now()
        attempt = account(seen, self._scribe.resource(index), self._scribe.study.gpu_resources, now)
        decision = self._end_of(index, seen) if current else None
        if attempt is not None and tells(attempt):
            self.suspects_template = self.failed_once = True
        if decision is not None:
            await self._scribe.commit(decision, seen.reports, attempt)
        elif attempt is not None:
            await self._scribe.progress(index, seen.reports, attempt)

    async def _take_report_error(self, index: int, seen: Sighting) -> None:
        """Shows what is wrong with an annotation, or that nothing is any more."""
        reports = seen.reports
        if reports is NO_REPORTS or reports.error == self._scribe.resource(index).report_error:
            return
        if reports.error is not None:
            text = f"{seen.pod.metadata.name}: {reports.error}"
            self._scribe.recorder.note("InvalidReport", text, warning=True)
        await self._scribe.progress(index, reports)

    def _end_of(self, index: int, seen: Sighting) -> Decision | None:
        """What the end of the current attempt leads to."""
        ended = mark(seen.pod)  # by a suspension that is over perhaps, or by a hold
        if self._scribe.study.suspend or ended is not None:
            return self._engine.suspended(index, ended.why if ended else SUSPENDED)
        how = seen.outcome()
        return self._engine.attempt_ended(index, how.outcome, how.detail)

    async def _search(self, pod: Pod, index: int) -> bool:
        """Takes in what became of a pod that is gone; True if the trial has to wait for its end."""
        uid = self._scribe.resource(index).uid
        found = await self._pods.search(pod.metadata.name, uid, pod)
        return await self._take_found(found, index)

    async def _take_found(self, found: Found, index: int) -> bool:
        if found.stray is not None:
            await self._lingering.end_stray(found.stray, index)
            return True
        if found.last is not None:
            await self._take(index, self._sight(found.last, gone=True))
        return False

    async def _lose(self, index: int, number: int) -> None:
        """That attempt's pod is gone, and nobody saw it go."""
        attempt = lost(self._scribe.resource(index), self._scribe.study.gpus, self._cluster.now())
        decision = None
        if number == self._engine.trials[index].attempt:
            if self._scribe.study.suspend:
                decision = self._engine.suspended(index, SUSPENDED)
            else:
                decision = self._engine.attempt_ended(index, Outcome.DISRUPTED, GONE)
        if decision is not None:
            await self._scribe.commit(decision, attempt=attempt)
        elif attempt is not None:
            await self._scribe.progress(index, attempt=attempt)


def _age(pod: Pod) -> int:
    number = attempt_number(pod)
    return -1 if number is None else number
