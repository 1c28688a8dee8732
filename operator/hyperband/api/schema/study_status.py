"""The schema of a HyperbandStudy's status: bounded, whatever the number of trials."""

from typing import Final

from hyperband.api.schema.build import (
    OPEN,
    Schema,
    boolean,
    choice,
    integer,
    many,
    moment,
    number,
    record,
    text,
)
from hyperband.core.records import TrialState

MAX_LEVELS: Final = 100
MAX_EARLIER_STUDIES: Final = 20

_MEANINGS: Final = {
    "Ready": "the spec is valid, the API server takes its pods, nothing is known to keep them from "
    "working, and no other study is waited for",
    "Progressing": "trials run or may start",
    "Suspended": "spec.suspend holds it",
    "Finished": "nothing more will happen",
    "Succeeded": "it finished with a result (Exhausted, TargetReached, BudgetReached, Stopped)",
    "Failed": "it finished without one (InvalidSpec, NoResult, TooManyFailedTrials, TemplateFails, "
    "or BudgetReached or Stopped before there was any)",
}
_CONDITION_TYPES = "; ".join(f"{name}: {meaning}" for name, meaning in _MEANINGS.items())

CONDITIONS: Final = many(
    f"Where the study stands. {_CONDITION_TYPES}. Usable with `kubectl wait --for=condition=…`.",
    record(
        "One condition, as everywhere in Kubernetes.",
        {
            "type": text("Type of the condition.", maxLength=316),
            "status": choice("Whether it holds.", ("True", "False", "Unknown")),
            "reason": text(
                "Why, in one word.",
                minLength=1,
                maxLength=1024,
                pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
            ),
            "message": text("Why, in a sentence; where something is wrong, how to mend it."),
            "lastTransitionTime": moment("When the status last changed."),
            "observedGeneration": integer("The generation of the spec it speaks of."),
        },
        required=("type", "status", "reason", "message", "lastTransitionTime"),
    ),
    key="type",
    maxItems=32,
)

_TRIALS: Final = record(
    "How many trials there are, in all and in each state.",
    {
        "total": integer("Trials that exist."),
        **{
            state.value.lower(): integer(f"Trials in state {state.value}: {meaning}.")
            for state, meaning in {
                TrialState.PENDING: "an attempt is due, its pod does not run yet",
                TrialState.RUNNING: "training",
                TrialState.PAUSED: "at a rung, waiting to be promoted",
                TrialState.STOPPED: "not good enough at a rung",
                TrialState.COMPLETED: "trained to resource.max",
                TrialState.FAILED: "given up",
            }.items()
        },
    },
)

BEST: Final = record(
    "The best value recorded at any rung so far and the trial it belongs to. What a trial reports "
    "between rungs, or after it was stopped, does not count.",
    {
        "trial": text("Name of the HyperbandTrial."),
        "index": integer("Its index."),
        "value": number("The objective, as reported."),
        "text": text("The value with five digits, for tables."),
        "resource": number("The resource at which it was reported."),
        "parameters": {
            "description": "The configuration, as the training was given it.",
            "type": "object",
            OPEN: True,
        },
    },
)

_RUNG: Final = record(
    "One rung.",
    {
        "resource": number("The resource at which trials are compared."),
        "trials": integer("Trials with a value here."),
        "paused": integer("Trials that wait here to be promoted."),
        "best": number("The best value recorded here."),
    },
)

BRACKETS: Final = many(
    "The rungs of each bracket, lowest first.",
    record(
        "One bracket.",
        {
            "bracket": integer("Number of the bracket: it has one rung more."),
            "rungs": many("Its rungs, lowest first.", _RUNG, maxItems=MAX_LEVELS),
        },
    ),
    maxItems=MAX_LEVELS,
)

WARM_START_STATUS: Final = record(
    "What this study has from those in spec.warmStart; there from its start on.",
    {
        "values": integer("How many values at rungs were taken over."),
        "studies": many(
            "What became of each earlier study.",
            record(
                "One earlier study.",
                {
                    "name": text("Its name."),
                    "uid": text("Its uid: a later study of the same name is another one."),
                    "values": integer("How many values were taken over."),
                    "trials": integer("How many trials they belong to."),
                    "gone": boolean(
                        "Whether it was found deleted when an operator read it again: from then "
                        "on this study goes without its values."
                    ),
                    "message": text("What was taken over and what was not, in a sentence."),
                },
                required=("name", "uid", "gone"),
            ),
            key="name",
            maxItems=MAX_EARLIER_STUDIES,
        ),
    },
)

STATUS: Final[Schema] = record(
    "How the study is going; written by the operator alone.",
    {
        "observedGeneration": integer("The generation of the spec that this status speaks of."),
        "conditions": CONDITIONS,
        "seed": integer("The seed in use: spec.searcher.seed, or the one derived from the uid."),
        "startTime": moment(
            "When the study could start its first trial: budget.duration counts from here."
        ),
        "completionTime": moment("When the study finished."),
        "checkpointsRemoved": integer(
            "How many trials' checkpoints were removed (spec.checkpoint.cleanUp); set once the "
            "study has finished and nothing is left to remove, or nothing that could be."
        ),
        "suspendedSeconds": number("For how long the study was suspended, before it last went on."),
        "budgetReached": record(
            "That the budget is spent; of no account once spec.budget is changed.",
            {
                "message": text("The bound that was reached, and by what."),
                "budget": {
                    "description": "The spec.budget that it speaks of.",
                    "type": "object",
                    OPEN: True,
                },
                "time": moment("When it was found to be reached."),
            },
        ),
        "trials": _TRIALS,
        "allStartedBelow": integer(
            "Each trial with a lower index has been started: one that is missing was deleted. "
            "Others that are missing are started again.",
            minimum=0,
        ),
        "promotions": integer("How many times a trial went on to a higher rung."),
        "gpuSeconds": number(
            "GPU time of all pods up to now: GPUs (gpuResources) times seconds. While nothing else "
            "changes it is brought up to date once a minute."
        ),
        "resourceUnits": number("Resource spent by all trials, in units of spec.resource."),
        "best": BEST,
        "brackets": BRACKETS,
        "warmStart": WARM_START_STATUS,
    },
)
