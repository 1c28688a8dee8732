"""The schema of a HyperbandStudy's spec: what the user asks for."""

from typing import Final

from hyperband.api import names
from hyperband.api.schema.build import (
    Schema,
    boolean,
    choice,
    integer,
    many,
    number,
    record,
    rule,
    table,
    text,
)
from hyperband.api.schema.parameters import (
    ANY_VALUE,
    LARGEST_INTEGER,
    MAX_PARAMETERS,
    PARAMETERS,
)
from hyperband.api.schema.study_status import MAX_EARLIER_STUDIES
from hyperband.api.schema.template import CHECKPOINT, GPU_RESOURCES, REPORTING, TEMPLATE
from hyperband.core.records import Goal
from hyperband.core.schedulers import SCHEDULERS
from hyperband.core.searchers import SEARCHERS

MAX_TRIALS: Final = 100_000
MAX_PARALLELISM: Final = 10_000
MAX_INITIAL: Final = 1_000


def _immutable(name: str) -> Schema:
    return rule(
        "self == oldSelf",
        f"spec.{name} cannot change while the study exists, its trials would no longer be "
        "comparable: create a new study (delete this one, or take another name)",
    )


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
    rules=[_immutable("objective")],
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
        _immutable("resource"),
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
            "fraction that goes on. At least 2. 3 is what the authors use; 4 stops more.",
            default=3,
            minimum=2,
        ),
        "mode": choice(
            "Promotion (default): a trial's pod ends at each rung and gives its GPUs back; the "
            "best resume later from their checkpoints. Stopping: pods run on, and are ended "
            "when a rung finds them not good enough.",
            list(SCHEDULERS),
            default="Promotion",
        ),
        "brackets": integer(
            "How many brackets share the trials. 1 (default): all are judged from the lowest "
            "rung on. Each further bracket starts one rung higher, which helps where early "
            "values mislead. At most the number of rungs.",
            default=1,
            minimum=1,
            maximum=100,
        ),
    },
    default={"eta": 3, "mode": "Promotion", "brackets": 1},
    rules=[_immutable("hyperband")],
)

SAMPLING: Final = ("Independent", "QuasiRandom")

SEARCHER: Final = record(
    "Where new configurations come from. Does not change once the study exists.",
    {
        "type": choice(
            "Random (default): drawn from the parameters' distributions, whatever the trials have "
            "shown; for a baseline, and where nearly all trials run at once. KernelDensity: drawn "
            "around good trials, by the densities of good and of bad ones (BOHB); quick with any "
            "number of trials. Evolution: mutations of good trials, while old ones die out "
            "(regularized evolution); for architectures and other large discrete spaces, with many "
            "trials. "
            "GaussianProcess: the largest expected improvement under a model over configuration "
            "and resource, running trials included (A-BOHB; Bayesian optimization with hyperband "
            "mode None); the fewest trials for a good result, where a trial takes longer than the "
            "second or so that a suggestion may.",
            list(SEARCHERS),
            default="Random",
        ),
        "seed": integer(
            "Seed of everything random in the study: the same spec with the same seed suggests "
            "the same configurations. Unset: derived from the study's uid; status.seed shows it.",
            minimum=0,
            maximum=LARGEST_INTEGER,
        ),
        "sampling": choice(
            "How the parameters' distributions are drawn from, which each searcher does at first. "
            "Independent (default). QuasiRandom: by a scrambled Sobol sequence, whose points lie "
            "further from one another than independent ones do.",
            SAMPLING,
        ),
    },
    default={"type": "Random"},
    rules=[_immutable("searcher")],
)

INITIAL_PARAMETERS: Final = many(
    "Configurations to try first, in this order, such as the ones you would have tried by hand. "
    "What one leaves out is sampled; a value whose parameter turns out inactive is not used. They "
    "count in maxTrials. Does not change once the study exists.",
    table(
        "Values by the names of parameters, as in {learning_rate: 0.01, layers: 2}.",
        ANY_VALUE,
        maxProperties=MAX_PARAMETERS,
    ),
    maxItems=MAX_INITIAL,
)

WARM_START: Final = record(
    "Begins with what earlier studies have shown: the best configuration of each is tried again, "
    "after initialParameters, and all their values teach the searcher (Random learns from none). "
    "Does not change once the study exists.",
    {
        "fromStudies": many(
            "Names of studies in the same namespace, with the same metric, goal and resource. This "
            "study starts when all of them are finished. Trials with values that spec.parameters "
            "does not allow, or without a value that it asks for, are left out; parameters that "
            "only the earlier study has are passed over.",
            text(
                "Name of a HyperbandStudy.",
                minLength=1,
                maxLength=names.MAX_STUDY_NAME,
            ),
            unique=True,
            minItems=1,
            maxItems=MAX_EARLIER_STUDIES,
        )
    },
    required=("fromStudies",),
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
    "maxTrials, failurePolicy and suspend may be changed while the study runs; the others "
    "describe what its results mean, and are fixed.",
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
            "How many configurations are tried at most. May be changed at any time.",
            minimum=1,
            maximum=MAX_TRIALS,
        ),
        "failurePolicy": FAILURE_POLICY,
        "suspend": boolean(
            "True ends all pods of the study, within their grace period, and starts no more; "
            "set back to false, its trials go on from their checkpoints.",
            default=False,
        ),
        "checkpoint": CHECKPOINT,
        "reporting": REPORTING,
        "gpuResources": GPU_RESOURCES,
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
    ],
)
