"""The schema of a HyperbandStudy's spec: what the user asks for."""

from typing import Final

from hyperband.api.schema.build import (
    boolean,
    choice,
    immutable,
    integer,
    number,
    record,
    rule,
    text,
)
from hyperband.api.schema.lifecycle import (
    BUDGET,
    EARLY_STOPPING,
    ON_BUDGET,
    RESUME,
    RETENTION,
    STOP,
    STOP_IS_FINAL,
    TARGET_OF_RESOURCE,
    TTL,
)
from hyperband.api.schema.parameters import LARGEST_INTEGER, PARAMETERS
from hyperband.api.schema.scheduling import SCHEDULING
from hyperband.api.schema.searcher import INITIAL_PARAMETERS, SEARCHER, WARM_START
from hyperband.api.schema.template import CHECKPOINT, GPU_RESOURCES, REPORTING, TEMPLATE
from hyperband.core.records import Goal, Sizes
from hyperband.core.schedulers import SCHEDULERS

MAX_TRIALS: Final = 100_000
MAX_PARALLELISM: Final = 10_000
# Brackets start with up to about eta^(MAX_LEVELS - 1) trials, which a float still holds.
MAX_ETA: Final = 1_000

OBJECTIVE: Final = record(
    "The metric that the study optimizes. Does not change once the study exists.",
    {
        "metric": text(
            "Name of the metric, exactly as the training reports it, e.g. val_loss.",
            minLength=1,
            maxLength=253,
        ),
        "goal": choice(
            "Whether the metric is to be small (Minimize, the default: losses, errors) or large "
            "(Maximize: accuracies, rewards).",
            [goal.value for goal in Goal],
            default=Goal.MINIMIZE.value,
        ),
    },
    required=("metric",),
    rules=[immutable("objective")],
)

RESOURCE: Final = record(
    "What training spends, and how much of it: epochs, steps, samples, seconds. A trial that is "
    "never stopped trains from nothing to `max`. Does not change once the study exists.",
    {
        "name": text(
            "Name of the resource, exactly as the training reports it beside the metric.",
            default="epochs",
            minLength=1,
            maxLength=253,
        ),
        "type": choice(
            "Integer (default): rungs are rounded to whole numbers. Float: they are not.",
            ("Integer", "Float"),
            default="Integer",
        ),
        "min": number(
            "Resource at the lowest rung: the least after which a trial may be judged. Choose "
            "the point from which on good and bad configurations can be told apart. Above 0.",
            minimum=0,
            exclusiveMinimum=True,
        ),
        "max": number(
            "Resource of a trial that is never stopped: the longest training you would pay for.",
            minimum=0,
            exclusiveMinimum=True,
        ),
    },
    required=("min", "max"),
    rules=[
        immutable("resource"),
        rule(
            "self.min < self.max",
            "%s is not below max %s: lower min, or raise max",
            "self.min",
            "self.max",
            field=".min",
        ),
        *(
            rule(
                f"self.type != 'Integer' || (self.{name} <= {LARGEST_INTEGER}.0 && "
                f"double(int(self.{name})) == self.{name})",
                "%s is not an integer: round it, or use type Float",
                f"self.{name}",
                field=f".{name}",
            )
            for name in ("min", "max")
        ),
    ],
)

HYPERBAND: Final = record(
    "How trials are compared and stopped early. Rungs lie at resource.min·eta^k and at "
    "resource.max; about the best 1/eta of the trials go on from each. Does not change once the "
    "study exists.",
    {
        "eta": number(
            "The reduction factor: how much further apart each rung is, and the inverse of the "
            "fraction that goes on. From 2 to 1,000. 3 is what the authors use; 4 stops more.",
            default=3,
            minimum=2,
            maximum=MAX_ETA,
        ),
        "mode": choice(
            "Promotion (default): a trial's pod ends at each rung and gives its GPUs back; the "
            "best resume later from their checkpoints. Stopping: pods run on, and are ended "
            "when a rung finds them not good enough. Synchronous: as Promotion, but each rung "
            "waits for all of its trials before it passes its best on, bracket after bracket; "
            "trials that failed hold nothing up. None: every trial trains to resource.max, "
            "whatever resource.min and eta say.",
            list(SCHEDULERS),
            default="Promotion",
        ),
        "brackets": integer(
            "How many brackets share the trials. 1 (default): all are judged from the lowest "
            "rung on. Each further bracket starts one rung higher, which helps where early "
            "values mislead. At most the number of rungs. With mode Synchronous they take turns, "
            "else each trial is given one at random.",
            default=1,
            minimum=1,
            maximum=100,
        ),
        "sizes": choice(
            "How many trials bracket s, which has s + 1 of the K rungs, starts with. Floor "
            "(default): floor(K / (s + 1))·eta^s, rounded down; with 5 rungs and eta 3 these are "
            "81, 27, 9, 6 and 5. Paper: K / (s + 1)·eta^s, rounded up, as Hyperband's authors have "
            "it: 81, 34, 15, 8 and 5. In the other modes the brackets' shares of the trials.",
            [sizes.value for sizes in Sizes],
            default=Sizes.FLOOR.value,
        ),
    },
    default={"eta": 3, "mode": "Promotion", "brackets": 1, "sizes": Sizes.FLOOR.value},
    rules=[
        immutable("hyperband"),
        rule(
            "self.mode != 'None' || self.brackets == 1",
            "%s brackets need rungs, which mode None does not have: leave brackets out, or choose "
            "another mode",
            "self.brackets",
            field=".brackets",
        ),
        rule(
            "self.mode != 'None' || self.sizes == 'Floor'",
            "%s is a size of brackets, which mode None does not have: leave sizes out, or choose "
            "another mode",
            "self.sizes",
            field=".sizes",
        ),
    ],
)


FAILURE_POLICY: Final = record(
    "How much failure is put up with. Preemption, drains and lost nodes are not failures: such "
    "attempts are repeated without counting. May be changed at any time.",
    {
        "maxFailedTrials": integer(
            "How many trials may fail before the whole study is failed; 0 fails it with the "
            "first. Trials whose metric diverged do not count.",
            default=10,
            minimum=0,
            maximum=MAX_TRIALS,
        ),
        "retries": integer(
            "How many failed attempts of a trial are repeated, from its checkpoint.",
            default=3,
            minimum=0,
            maximum=100,
        ),
    },
    default={"maxFailedTrials": 10, "retries": 3},
)

SPEC: Final = record(
    "What to tune, within which bounds, and how much to spend. The fields parallelism, "
    "maxTrials, budget, onBudget, earlyStopping, failurePolicy, suspend, stop, retention, "
    "scheduling and ttlAfterFinished may be changed while the study runs, and "
    "checkpoint.cleanUp; the others describe what its results mean, and are fixed.",
    {
        "objective": OBJECTIVE,
        "resource": RESOURCE,
        "hyperband": HYPERBAND,
        "searcher": SEARCHER,
        "parameters": PARAMETERS,
        "initialParameters": INITIAL_PARAMETERS,
        "warmStart": WARM_START,
        "parallelism": integer(
            "How many trials may hold a pod at the same time. May be changed at any time; "
            "running trials are never ended for it.",
            default=1,
            minimum=1,
            maximum=MAX_PARALLELISM,
        ),
        "maxTrials": integer(
            "How many configurations are tried at most. May be changed at any time. With mode "
            "Synchronous it may cut the last bracket short, which goes on with what it has.",
            minimum=1,
            maximum=MAX_TRIALS,
        ),
        "budget": BUDGET,
        "onBudget": ON_BUDGET,
        "earlyStopping": EARLY_STOPPING,
        "failurePolicy": FAILURE_POLICY,
        "suspend": boolean(
            "True ends all pods of the study, within their grace period, and starts no more; "
            "set back to false, its trials go on from their checkpoints.",
            default=False,
        ),
        "stop": STOP,
        "resume": RESUME,
        "retention": RETENTION,
        "ttlAfterFinished": TTL,
        "checkpoint": CHECKPOINT,
        "reporting": REPORTING,
        "gpuResources": GPU_RESOURCES,
        "scheduling": SCHEDULING,
        "trialTemplate": TEMPLATE,
    },
    required=("objective", "resource", "parameters", "maxTrials", "trialTemplate"),
    rules=[
        rule(
            "self.objective.metric != self.resource.name",
            "%s is the name of the resource too: report the two under different names",
            "self.objective.metric",
            field=".objective.metric",
        ),
        rule(
            "has(self.checkpoint) == has(oldSelf.checkpoint)",
            "spec.checkpoint cannot be added or removed while the study exists: create a new study "
            "(delete this one, or take another name)",
            field=".checkpoint",
        ),
        rule(
            "!has(self.earlyStopping) || self.earlyStopping.all(t, t.metric != self.resource.name)",
            f"%s {TARGET_OF_RESOURCE}",
            "self.resource.name",
            field=".earlyStopping",
        ),
        STOP_IS_FINAL,
    ],
)
