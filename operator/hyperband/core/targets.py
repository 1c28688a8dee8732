"""Whether a trial has done what its study is for (`spec.earlyStopping`)."""

import math
from collections.abc import Sequence

from hyperband.core.records import Report, Study, Target, Trial


def first_met(study: Study, reports: Sequence[Report]) -> tuple[Report, Target, float] | None:
    """The first report that meets a target, the target, and the value that does."""
    for report in reports:
        metrics = {**report.metrics, study.objective.metric: report.value}
        for target in study.targets:
            value = metrics.get(target.metric, math.nan)
            if math.isfinite(value) and target.met(value):
                return report, target, value
    return None


def how_met(study: Study, trial: Trial) -> str:
    """How a recorded value meets a target that was set or lowered after it; empty if none."""
    for target in study.targets:
        if target.metric == study.objective.metric:
            for value in trial.rungs:
                if target.met(value.value):
                    return in_words(study, target, value.value, value.resource)
    return ""


def in_words(study: Study, target: Target, value: float, resource: float) -> str:
    """That this value meets the target."""
    return (
        f"{target.metric} {value:.6g} at {study.resource.amount(resource)} "
        f"reaches the target {target.value:g} (spec.earlyStopping)"
    )
