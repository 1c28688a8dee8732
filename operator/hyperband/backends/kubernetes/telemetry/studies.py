"""The metrics of studies: from their figures, for as long as somebody may want to see them."""

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from hyperband.api.status import FAILED, FINISHED, PROGRESSING, READY, SUCCEEDED, SUSPENDED
from hyperband.backends.kubernetes.telemetry.figures import StudyFigures
from hyperband.backends.kubernetes.telemetry.pods import PodFigures, PodState
from hyperband.core.records import TrialState

log = logging.getLogger(__name__)

KEEP_SECONDS = 600.0  # the last values stay so long after a study's end, to be scraped
CONDITIONS = (READY, PROGRESSING, SUSPENDED, FINISHED, SUCCEEDED, FAILED)
STUDY = ["namespace", "study"]


class StudyMetrics:
    """The figures of all studies that this process looks after, and of those just deleted."""

    def __init__(self, pods: PodFigures, monotonic: Callable[[], float]) -> None:
        self._pods, self._monotonic = pods, monotonic
        self._figures: dict[tuple[str, str], StudyFigures] = {}
        self._ended: dict[StudyFigures, float] = {}  # since when a study is finished, or gone
        self._gone: set[StudyFigures] = set()

    def begin(self, namespace: str, name: str, body: Mapping[str, Any]) -> StudyFigures:
        """A study is taken up; one that had finished before has nothing more to show."""
        self._forget((namespace, name))
        self._forget_past()
        made = self._figures[namespace, name] = StudyFigures(namespace, name, body)
        if made.finished:
            self._ended[made] = -math.inf
        return made

    def end(self, namespace: str, name: str) -> None:
        """A study is deleted."""
        figures = self._figures.get((namespace, name))
        if figures is not None:
            self._ended.setdefault(figures, self._monotonic())
            self._gone.add(figures)

    def clear(self, namespace: str | None) -> None:
        """Other processes look after the studies now, in a namespace or in all."""
        for key in list(self._figures):
            if namespace in (None, key[0]):
                self._forget(key)

    def _forget(self, key: tuple[str, str]) -> None:
        figures = self._figures.pop(key, None)
        if figures is not None:
            self._ended.pop(figures, None)
            self._gone.discard(figures)

    def _forget_past(self) -> None:
        """Lets go of deleted studies that were shown for long enough, to whomever that was."""
        for figures in [each for each in self._gone if self._is_past(each)]:
            self._forget((figures.namespace, figures.name))

    def _is_past(self, figures: StudyFigures) -> bool:
        """Whether its end is too long ago for anybody to want to see it."""
        ended = self._ended.get(figures)
        return ended is not None and self._monotonic() - ended >= KEEP_SECONDS

    def read(self) -> Iterable[Metric]:
        """For a scrape."""
        for figures in self._figures.values():
            if figures.finished:
                self._ended.setdefault(figures, self._monotonic())
        self._forget_past()
        families = Families()
        families.show_conditions(
            [each for each in self._figures.values() if each not in self._gone]
        )
        for figures in self._figures.values():
            if self._is_past(figures):
                continue
            try:
                families.show(figures)
            except (KeyError, TypeError, ValueError) as error:  # somebody has edited its status
                log.debug("%s/%s: %r", figures.namespace, figures.name, error)
            families.show_pods(figures, self._pods)
        return vars(families).values()


class Families:
    """One scrape's worth of them."""

    def __init__(self) -> None:
        self.studies = GaugeMetricFamily(
            "hyperband_studies",
            "Studies by the status of their conditions",
            labels=["condition", "status"],
        )
        self.held = GaugeMetricFamily(
            "hyperband_study_held",
            "1 while a study may start nothing, for this reason (Ready is False)",
            labels=[*STUDY, "reason"],
        )
        self.trials = GaugeMetricFamily(
            "hyperband_study_trials", "Trials by state", labels=[*STUDY, "state"]
        )
        self.most = GaugeMetricFamily(
            "hyperband_study_max_trials", "Trials that may start (maxTrials)", labels=STUDY
        )
        self.parallelism = GaugeMetricFamily(
            "hyperband_study_parallelism", "Trials that may run at a time", labels=STUDY
        )
        self.best = GaugeMetricFamily(
            "hyperband_study_best_value", "The best value of the objective so far", labels=STUDY
        )
        rung = [*STUDY, "bracket", "level"]
        self.rung = GaugeMetricFamily(
            "hyperband_study_rung_trials",
            "Trials with a value at this rung; its level is written as its resource",
            labels=rung,
        )
        self.paused = GaugeMetricFamily(
            "hyperband_study_rung_paused_trials",
            "Trials that wait at this rung to be promoted",
            labels=rung,
        )
        self.pods = GaugeMetricFamily(
            "hyperband_study_pods", "Pods of trials that have not ended", labels=[*STUDY, "state"]
        )
        self.pending = GaugeMetricFamily(
            "hyperband_study_oldest_pending_pod_seconds",
            "Age of the oldest pod of the study that does not run yet; 0 if all do",
            labels=STUDY,
        )
        self.decisions = CounterMetricFamily(
            "hyperband_decisions", "Decisions written", labels=[*STUDY, "action", "reason"]
        )
        self.attempts = CounterMetricFamily(
            "hyperband_attempts_ended",
            "Attempts that have ended, by how; Ended is by the operator itself",
            labels=[*STUDY, "outcome"],
        )
        self.used = CounterMetricFamily(
            "hyperband_used_gpu_seconds",
            "GPU time that pods have held since this process leads",
            labels=STUDY,
        )
        self.wasted = CounterMetricFamily(
            "hyperband_wasted_gpu_seconds",
            "GPU time of attempts that failed or were disrupted, checkpointed parts included",
            labels=[*STUDY, "outcome"],
        )
        self.used_in_all = GaugeMetricFamily(
            "hyperband_study_used_gpu_seconds",
            "GPU time that pods have held since the study's start",
            labels=STUDY,
        )
        self.saved = GaugeMetricFamily(
            "hyperband_study_saved_gpu_seconds",
            "GPU time that early stopping has spared, against training every trial to r_max",
            labels=STUDY,
        )

    def show_conditions(self, studies: Iterable[StudyFigures]) -> None:
        counts: Counter[tuple[str, str]] = Counter()
        for each in studies:
            counts.update(each.conditions())
        for condition in CONDITIONS:
            for status in ("True", "False"):
                self.studies.add_metric([condition, status], counts[condition, status])

    def show(self, study: StudyFigures) -> None:
        place = [study.namespace, study.name]
        for (action, reason), count in study.decisions.items():
            self.decisions.add_metric([*place, action.value, reason.value], count)
        for outcome, count in study.attempts.items():
            self.attempts.add_metric([*place, outcome.value], count)
        for outcome, seconds in study.wasted.items():
            self.wasted.add_metric([*place, outcome.value], seconds)
        self.used.add_metric(place, study.used)
        self.used_in_all.add_metric(place, study.used_in_all)
        self.saved.add_metric(place, study.saved)
        for state in TrialState:
            self.trials.add_metric([*place, state.value], study.trials(state.value))
        for bracket, level, values, paused in study.rungs():
            self.rung.add_metric([*place, bracket, level], values)
            self.paused.add_metric([*place, bracket, level], paused)
        self.most.add_metric(place, study.spec.get("maxTrials", 0))
        self.parallelism.add_metric(place, study.spec.get("parallelism", 1))
        if study.held:
            self.held.add_metric([*place, study.held], 1)
        if study.best is not None:
            self.best.add_metric(place, study.best)

    def show_pods(self, study: StudyFigures, pods: PodFigures) -> None:
        place = [study.namespace, study.name]
        counts = pods.counts(study.namespace, study.name)
        for state in PodState:
            self.pods.add_metric([*place, state.value], counts[state])
        self.pending.add_metric(place, pods.longest_wait(study.namespace, study.name))
