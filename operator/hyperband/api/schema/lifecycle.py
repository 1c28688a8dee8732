"""The schema of how a study ends and what is kept: budget, targets, stop, retention."""

from collections.abc import Sequence
from typing import Any, Final

from hyperband.api.durations import MAX_LENGTH, NO_DURATION, PATTERN
from hyperband.api.schema.build import (
    Schema,
    boolean,
    cel_text,
    choice,
    integer,
    many,
    number,
    record,
    rule,
    text,
)
from hyperband.core.records import Goal, OnBudget


def duration(description: str, *, rules: Sequence[Schema] = (), **more: Any) -> Schema:
    """A duration such as 90s, 30m, 6h, 1h30m or 30d."""
    written = rule(f"self.matches({cel_text(PATTERN)})", f"%s {NO_DURATION}", "self")
    return text(
        f"{description} A duration such as 90s, 30m, 6h, 1h30m or 30d.",
        rules=[written, *rules],
        minLength=2,
        maxLength=MAX_LENGTH,
        **more,
    )


BUDGET: Final = record(
    "What the study may spend in all; how many trials, maxTrials says. Once any bound is reached "
    "nothing new starts, onBudget says what becomes of trials that run, and the study finishes "
    "with reason BudgetReached. May be changed at any time.",
    {
        "gpuHours": number(
            "GPU-hours: the time of all pods, from their acceptance by a node to their end, times "
            "their GPUs (gpuResources). Pods that were disrupted or failed count, too.",
            minimum=0,
            exclusiveMinimum=True,
        ),
        "duration": duration(
            "Time since the study could start its first trial; time for which it was suspended "
            "does not count.",
            rules=[rule("self.matches('[1-9]')", "%s leaves no time: give more, or none", "self")],
        ),
        "resourceUnits": number(
            "Units of the resource, e.g. epochs, summed over all trials: for each trial the "
            "highest that it has reported; with resume false every promotion counts anew.",
            minimum=0,
            exclusiveMinimum=True,
        ),
    },
    minProperties=1,
)

ON_BUDGET: Final = choice(
    "What becomes of trials that run when the budget is reached. Finish (default): they go on to "
    "the end of their attempt, which is the next rung with modes Promotion and Synchronous, and "
    "are not repeated if they are disrupted. Stop: they are stopped. Trials whose pod does not run "
    "yet are stopped in any case. May be changed at any time.",
    [choice.value for choice in OnBudget],
    default=OnBudget.FINISH.value,
)

TARGET_OF_RESOURCE: Final = (
    "is the resource, which every training reaches: set resource.max, or a budget of resourceUnits"
)

EARLY_STOPPING: Final = many(
    "Values that are good enough: as soon as a trial reports one of these metrics at its value or "
    "better, all other trials are stopped and the study has Succeeded with reason TargetReached. "
    "Reports are checked as they come, at a rung or between rungs. May be changed at any time; the "
    "objective's values at rungs are then checked again, other metrics are not on record.",
    record(
        "One target.",
        {
            "metric": text(
                "Name of the metric, as the training reports it: the objective or any other in "
                "the same report.",
                minLength=1,
                maxLength=253,
            ),
            "goal": choice(
                "Minimize: reached at the value or below. Maximize: at the value or above.",
                [goal.value for goal in Goal],
            ),
            "value": number("The value."),
        },
        required=("metric", "goal", "value"),
    ),
    maxItems=16,
)

STOP: Final = boolean(
    "True ends the study for good: all its trials are stopped and it finishes with reason Stopped. "
    "It cannot be undone; to go on later, use suspend.",
    default=False,
)

STOP_IS_FINAL: Final = rule(
    "!(has(oldSelf.stop) && oldSelf.stop) || (has(self.stop) && self.stop)",
    "spec.stop cannot be undone: create a new study, which may start from this one's trials with "
    "warmStart",
    field=".stop",
)

RESUME: Final = boolean(
    "True (default): a promoted trial goes on from its checkpoint. False: it starts from scratch, "
    "with an empty checkpoint folder, and HYPERBAND_RESOURCE_FROM is 0; an attempt that is "
    "repeated after a disruption still goes on from its own checkpoint. Does not change once the "
    "study exists.",
    default=True,
    **{
        "x-kubernetes-validations": [
            rule(
                "self == oldSelf",
                "spec.resume cannot change while the study exists, its trials would no longer be "
                "comparable: create a new study (delete this one, or take another name)",
            )
        ]
    },
)

RETENTION: Final = record(
    "What is kept of pods that have ended, and of finished trials. May be changed at any time.",
    {
        "pods": duration(
            "How long a pod is kept after its end, and its log with it.",
            default="24h",
        ),
        "logs": choice(
            "Keep (default): a pod that the operator ends, because its trial was stopped, say, "
            "stays as a failed pod with the reason DeadlineExceeded, so that `kubectl logs` still "
            "works; retention.pods says for how long. Discard: such a pod is deleted.",
            ("Keep", "Discard"),
            default="Keep",
        ),
        "trials": integer(
            "How many finished trials keep an object of their own. The oldest of the others are "
            "folded into HyperbandArchive objects, in which nothing of their records is lost, "
            "once they have no pod any more.",
            default=1_000,
            minimum=0,
            maximum=100_000,
        ),
    },
    default={"pods": "24h", "logs": "Keep", "trials": 1_000},
)

TTL: Final = duration(
    "How long the study is kept after it has finished; then the operator deletes it, and with it "
    "its trials and pods. Without it, it stays until somebody deletes it. May be changed at any "
    "time."
)
