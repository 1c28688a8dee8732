"""A pod as it is, or as it was when last seen, and what it reports. Pure."""

from dataclasses import dataclass

from hyperband.api import names
from hyperband.api.metrics import NO_REPORTS, Reports, parse_metrics
from hyperband.backends.kubernetes.attempts import (
    Ending,
    disruption,
    ending,
    interrupted,
    is_over,
)
from hyperband.backends.kubernetes.objects import Pod
from hyperband.core.decisions import Outcome
from hyperband.core.records import Study


@dataclass(frozen=True, slots=True)
class Sighting:
    """One look at a pod."""

    pod: Pod
    gone: bool  # it is not there any more
    reports: Reports

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs or ever will."""
        return self.gone or is_over(self.pod)

    def outcome(self) -> Ending:
        """How the attempt ended, for a trial that has no value at its target."""
        if self.gone and not is_over(self.pod):
            why = disruption(self.pod)
            return Ending(Outcome.DISRUPTED, why or "its pod was deleted")
        how = ending(self.pod)
        if how.outcome is Outcome.SUCCEEDED and (why := interrupted(self.pod)):
            how = Ending(Outcome.DISRUPTED, why)
        return Ending(how.outcome, "; ".join(t for t in (how.detail, self.reports.error) if t))


def sight(pod: Pod, study: Study, gone: bool = False) -> Sighting:
    """Looks at a pod and reads its annotation."""
    text = pod.metadata.annotations.get(names.METRICS_ANNOTATION)
    if text is None:
        return Sighting(pod, gone, NO_REPORTS)
    return Sighting(pod, gone, parse_metrics(text, study.objective.metric, study.resource.name))
