"""The schema of a HyperbandTrial: one configuration and its life."""

from typing import Final

from hyperband.api.schema.build import (
    OPEN,
    choice,
    integer,
    many,
    moment,
    number,
    record,
    table,
    text,
)
from hyperband.api.schema.study_status import MAX_LEVELS
from hyperband.core.decisions import Outcome
from hyperband.core.records import TrialState

MAX_CURVE: Final = 200
MAX_ATTEMPTS: Final = 20
# Of sequence numbers and attempts; a name with a number of more digits is none of our pods.
MAX_COUNT: Final = 999_999_999
MAX_HYPERPARAMETERS: Final = 1_000  # of a surrogate: a few for each of 200 parameters

TRIAL_SPEC: Final = record(
    "What is tried. Never changes.",
    {
        "index": integer("Number of the trial in its study, from 0.", minimum=0),
        "bracket": integer(
            "The bracket it belongs to: bracket s has s + 1 rungs, resource.max included.",
            minimum=0,
        ),
        "parameters": {
            "description": "The configuration: a value for each active parameter.",
            "type": "object",
            OPEN: True,
        },
        "suggestion": record(
            "Why this configuration was chosen.",
            {
                "origin": text(
                    "The searcher that suggested it. Initial: given in spec.initialParameters. "
                    "Earlier: the best of a study that this one starts warm from.",
                    minLength=1,
                    maxLength=63,
                ),
                "detail": table(
                    "What the searcher knew, by name; docs/concepts/searchers.md says more. "
                    "GaussianProcess: level (the rung, from 0, at which it expects to improve), "
                    "and there the mean and deviation predicted, the expected improvement, and the "
                    "incumbent (the best mean of what was tried); values (known to the model), "
                    "modelAge (how many of them came after its fit), pending (running trials). "
                    "KernelDensity: level; good, bad, failed (how many observations there); "
                    "logRatio (of the two densities). Evolution: parent (its trial; negative if of "
                    "an earlier study), parentValue, parentLevel; population and tournament (their "
                    "sizes); parameter (the first one that changed, from 0); mutations (how many). "
                    "Otherwise empty.",
                    number("A number."),
                    maxProperties=64,
                ),
                "fit": record(
                    "The searcher's model at that time, so that a restarted operator has the same.",
                    {
                        "values": integer(
                            "How many values it was fitted to: the first ones that were recorded, "
                            "after those of earlier studies.",
                            minimum=0,
                            maximum=MAX_COUNT,
                        ),
                        "hyperparameters": many(
                            "The model's hyperparameters, in an order of its own.",
                            number("A number."),
                            maxItems=MAX_HYPERPARAMETERS,
                        ),
                    },
                    required=("values", "hyperparameters"),
                ),
            },
            required=("origin",),
        ),
    },
    required=("index", "bracket", "parameters", "suggestion"),
)

POINT: Final = {
    "resource": number("Resource spent."),
    "value": number("The objective; absent where the training reported NaN or infinity."),
}

RUNG_VALUES: Final = many(
    "The value recorded at each rung, lowest first: the first report at or above its level, "
    "never overwritten.",
    record(
        "The value at one rung.",
        {
            "level": integer("Number of the rung in the study's ladder, from 0.", minimum=0),
            "resource": number("Resource of the report, at least the rung's."),
            "value": number("The objective, as reported."),
            "sequence": integer(
                "Study-wide order of recording, from 0.", minimum=0, maximum=MAX_COUNT
            ),
        },
        required=("level", "resource", "value", "sequence"),
    ),
    maxItems=MAX_LEVELS,
)

ATTEMPTS: Final = many(
    f"The last {MAX_ATTEMPTS} attempts, oldest first.",
    record(
        "One pod of the trial.",
        {
            "number": integer("Number of the attempt, from 0.", minimum=0, maximum=MAX_COUNT),
            "pod": text("Name of its pod.", maxLength=253),
            "node": text("Node that it ran on.", maxLength=253),
            "startTime": moment("When its node accepted the pod: GPU time counts from here."),
            "trainingTime": moment("When its training container started."),
            "endTime": moment("When it ended."),
            "outcome": choice(
                "How it ended. Succeeded: exit code 0. Failed: the training's own fault, which "
                "uses up a retry. Disrupted: taken away, which does not. Ended: by the operator, "
                "as its trial was decided or the study suspended.",
                [outcome.value for outcome in Outcome],
            ),
            "reason": text("Why it ended, in one word or a short sentence.", maxLength=1024),
            "resource": number("Resource of its last report."),
            "gpuSeconds": number("GPU time that it used, once it has ended: GPUs times seconds."),
        },
        required=("number",),
    ),
    maxItems=MAX_ATTEMPTS,
)

TRIAL_STATUS: Final = record(
    "What has happened to the trial; written by the operator alone. Empty: nothing yet.",
    {
        "state": choice(
            "Where the trial stands. Pending: an attempt is due, its pod does not run yet. "
            "Running. Paused: at a rung, waiting to be promoted. Stopped: not good enough at a "
            "rung. Completed: has a value at resource.max. Failed: given up.",
            [state.value for state in TrialState],
        ),
        "targetLevel": integer(
            "Number of the rung, in the study's ladder, at which the current or next attempt ends.",
            minimum=0,
        ),
        "target": number("The resource of that rung."),
        "attempt": integer(
            "Number of the current or last attempt, from 0.", minimum=0, maximum=MAX_COUNT
        ),
        "failures": integer(
            "Attempts that failed and used up a retry.", minimum=0, maximum=MAX_COUNT
        ),
        "disruptions": integer(
            "Attempts that were taken away and did not count.", minimum=0, maximum=MAX_COUNT
        ),
        "rungs": RUNG_VALUES,
        "latest": record(
            "The latest report; of a trial that is decided, the one that was judged.",
            {**POINT, "text": text("The value with five digits, for tables.")},
        ),
        "curve": many(
            f"The learning curve over all attempts, thinned to {MAX_CURVE} points.",
            record("One report.", POINT),
            maxItems=MAX_CURVE,
        ),
        "reason": text("Reason of the last decision, in one word.", maxLength=128),
        "message": text("The last decision in a sentence.", maxLength=4096),
        "evidence": table(
            "The numbers that the last decision was made from, by name.",
            number("A number."),
            maxProperties=64,
        ),
        "reportError": text(
            "What is wrong with the latest metrics annotation, if anything.", maxLength=4096
        ),
        "transitionTime": moment("When the state last changed."),
        "readTime": moment(
            "When the operator that wrote this had read all records: at its start, or after a "
            "write without an answer. Written then, so that nothing older can be written later."
        ),
        "gpuSeconds": number("GPU time of all attempts that have ended: GPUs times seconds."),
        "attempts": ATTEMPTS,
    },
)
