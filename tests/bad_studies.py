"""Studies that must not be accepted, each a change of a good one, and what the refusal must say.

`REFUSED_BY_SERVER` at `kubectl apply`; `SERVER_CANNOT_KNOW` by the operator, as a Failed condition;
`REFUSED_CHANGES` when an existing study is changed. `hyperband.api.study.parse_study` refuses the
first two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.studies import REMOVED, Manifest, changed, good_study


@dataclass(frozen=True)
class BadStudy:
    """What is changed, and what the refusal must say: the field, the value, the mend."""

    title: str
    changes: Mapping[str, Any]
    says: tuple[str, ...]  # parts of the server's message
    field: str = ""  # of the operator's InvalidStudyError; default: says[0]

    def manifest(self, name: str = "bad", namespace: str = "default") -> Manifest:
        """The bad study."""
        return changed(good_study(name, namespace), self.changes)

    @property
    def python_field(self) -> str:
        return self.field or self.says[0]


_P: Final = "spec.parameters"
_POD: Final = "spec.trialTemplate.spec"
_ANNOTATION: Final = "kubectl.kubernetes.io/default-container"

REFUSED_BY_SERVER: Final = (
    # -- objective, resource, hyperband
    BadStudy("no metric", {"spec.objective": {}}, ("spec.objective.metric", "Required value")),
    BadStudy(
        "unknown goal",
        {"spec.objective.goal": "minimise"},
        ("spec.objective.goal", "minimise", '"Minimize", "Maximize"'),
    ),
    BadStudy(
        "metric named like the resource",
        {"spec.objective.metric": "epochs"},
        ("spec.objective.metric", "epochs is the name of the resource too", "different names"),
    ),
    BadStudy(
        "resource upside down",
        {"spec.resource.min": 81},
        ("spec.resource.min", "81 is not below max 27", "lower min, or raise max"),
    ),
    BadStudy(
        "resource from zero",
        {"spec.resource.min": 0},
        ("spec.resource.min", "Invalid value: 0", "greater than 0"),
    ),
    BadStudy(
        "half an epoch",
        {"spec.resource.min": 0.5},
        ("spec.resource.min", "0.5 is not an integer", "use type Float"),
    ),
    BadStudy(
        "no max",
        {"spec.resource": {"min": 1}},
        ("spec.resource.max", "Required value"),
    ),
    BadStudy(
        "eta below 2",
        {"spec.hyperband.eta": 1},
        ("spec.hyperband.eta", "Invalid value: 1", "greater than or equal to 2"),
    ),
    BadStudy(
        "eta beyond all reason",
        {"spec.hyperband.eta": 1e15},
        ("spec.hyperband.eta", "Invalid value: 1e+15", "less than or equal to 1000"),
    ),
    BadStudy(
        "unknown mode",
        {"spec.hyperband.mode": "ASHA"},
        ("spec.hyperband.mode", '"ASHA"', '"Promotion", "Stopping", "Synchronous", "None"'),
    ),
    BadStudy(
        "no brackets",
        {"spec.hyperband.brackets": 0},
        ("spec.hyperband.brackets", "Invalid value: 0", "greater than or equal to 1"),
    ),
    BadStudy(
        "brackets without rungs",
        {"spec.hyperband": {"mode": "None", "brackets": 2}},
        ("spec.hyperband.brackets", "2 brackets need rungs, which mode None", "leave brackets out"),
    ),
    BadStudy(
        "sizes without brackets",
        {"spec.hyperband": {"mode": "None", "sizes": "Paper"}},
        ("spec.hyperband.sizes", "Paper is a size of brackets", "leave sizes out"),
    ),
    BadStudy(
        "unknown sizes",
        {"spec.hyperband.sizes": "Ceil"},
        ("spec.hyperband.sizes", '"Ceil"', '"Floor", "Paper"'),
    ),
    # -- searcher, counts
    BadStudy(
        "a setting of another searcher",
        {"spec.searcher": {"type": "Random", "population": 20}},
        ("spec.searcher.population", "is a setting of Evolution, not of Random", "leave it out"),
    ),
    BadStudy(
        "a tournament larger than its population",
        {"spec.searcher": {"type": "Evolution", "population": 10, "tournament": 11}},
        ("spec.searcher.tournament", "11 is more than the population of 10", "lower it"),
    ),
    BadStudy(
        "all values good",
        {"spec.searcher": {"type": "KernelDensity", "goodFraction": 1}},
        ("spec.searcher.goodFraction", "1 leaves none good, or none bad", "between 0 and 1"),
    ),
    BadStudy(
        "unknown resource model",
        {"spec.searcher": {"type": "GaussianProcess", "resourceModel": "Linear"}},
        ("spec.searcher.resourceModel", '"Linear"', '"ExponentialDecay"'),
    ),
    BadStudy(
        "unknown searcher",
        {"spec.searcher.type": "Grid"},
        ("spec.searcher.type", '"Grid"', '"Random"'),
    ),
    BadStudy(
        "negative seed",
        {"spec.searcher.seed": -1},
        ("spec.searcher.seed", "Invalid value: -1", "greater than or equal to 0"),
    ),
    BadStudy(
        "unknown way of sampling",
        {"spec.searcher.sampling": "Sobol"},
        ("spec.searcher.sampling", '"Sobol"', '"Independent", "QuasiRandom"'),
    ),
    BadStudy("no maxTrials", {"spec.maxTrials": REMOVED}, ("spec.maxTrials", "Required value")),
    BadStudy(
        "no parallelism",
        {"spec.parallelism": 0},
        ("spec.parallelism", "Invalid value: 0", "greater than or equal to 1"),
    ),
    BadStudy(
        "maxTrials as text",
        {"spec.maxTrials": "200"},
        ("spec.maxTrials", "string", "must be of type integer"),
    ),
    BadStudy(
        "negative retries",
        {"spec.failurePolicy.retries": -1},
        ("spec.failurePolicy.retries", "Invalid value: -1", "greater than or equal to 0"),
    ),
    # -- how it ends
    BadStudy("no budget", {"spec.budget": {}}, ("spec.budget", "at least 1 properties")),
    BadStudy(
        "budget of nothing",
        {"spec.budget": {"gpuHours": 0}},
        ("spec.budget.gpuHours", "Invalid value: 0", "greater than 0"),
    ),
    BadStudy(
        "no time",
        {"spec.budget": {"duration": "0h0s"}},
        ("spec.budget.duration", "0h0s leaves no time", "give more, or none"),
    ),
    BadStudy(
        "duration without a unit",
        {"spec.budget": {"duration": "90"}},
        ("spec.budget.duration", "90 is no duration", "write one such as 90s"),
    ),
    BadStudy(
        "duration as a number",
        {"spec.ttlAfterFinished": 3600},
        ("spec.ttlAfterFinished", "integer", "must be of type string"),
    ),
    BadStudy(
        "duration with its units exchanged",
        {"spec.retention": {"pods": "5m1h"}},
        ("spec.retention.pods", "5m1h is no duration", "write one such as 90s"),
    ),
    BadStudy(
        "target without a goal",
        {"spec.earlyStopping": [{"metric": "accuracy", "value": 0.9}]},
        ("spec.earlyStopping[0].goal", "Required value"),
    ),
    BadStudy(
        "target of the resource",
        {"spec.earlyStopping": [{"metric": "epochs", "goal": "Maximize", "value": 2}]},
        ("spec.earlyStopping", "epochs is the resource", "set resource.max"),
    ),
    BadStudy(
        "unknown way to end",
        {"spec.onBudget": "Kill"},
        ("spec.onBudget", '"Kill"', '"Finish", "Stop"'),
    ),
    # -- parameters: what the rules of the definition see
    BadStudy("no parameters", {_P: []}, (_P, "should have at least 1 items"), field=_P),
    BadStudy(
        "bounds upside down",
        {f"{_P}.0.min": 1},
        (f"{_P}[0].min", "1 is above max 0.1", "exchange the two"),
    ),
    BadStudy(
        "a single value",
        {f"{_P}.1.min": 4},
        (f"{_P}[1].min", "4 is also max", "use a Constant"),
    ),
    BadStudy(
        "logarithm of zero",
        {f"{_P}.0.min": 0},
        (f"{_P}[0].min", "0 has no logarithm", "use scale Linear"),
    ),
    BadStudy(
        "bound left out",
        {f"{_P}.1.max": REMOVED},
        (f"{_P}[1].max", "is missing", "a Uniform Integer needs min and max"),
    ),
    BadStudy(
        "half a layer",
        {f"{_P}.1.min": 1.5},
        (f"{_P}[1].min", "1.5 is not an integer", "make the parameter a Float"),
    ),
    BadStudy(
        "bell curve without a width",
        {f"{_P}.5.deviation": REMOVED},
        (f"{_P}[5].deviation", "is missing", "needs mean and deviation"),
    ),
    BadStudy(
        "bell curve of no width",
        {f"{_P}.5.deviation": 0},
        (f"{_P}[5].deviation", "Invalid value: 0", "greater than 0"),
    ),
    BadStudy(
        "mean without a bell curve",
        {f"{_P}.1.mean": 2},
        (f"{_P}[1].mean", "2 means nothing to a Uniform distribution", "leave it out"),
    ),
    BadStudy(
        "logarithmic bell curve",
        {f"{_P}.0.distribution": "Normal", f"{_P}.0.mean": 0.01, f"{_P}.0.deviation": 0.01},
        (f"{_P}[0].scale", "Log does not go with a Normal", "use distribution LogNormal"),
    ),
    BadStudy(
        "step wider than the range",
        {f"{_P}.4.step": 0.7},
        (f"{_P}[4].step", "0.7 is larger than the range from 0 to 0.6", "smaller step"),
    ),
    BadStudy(
        "logarithmic steps",
        {f"{_P}.0.step": 0.01},
        (f"{_P}[0].step", "0.01 does not go with scale Log", "use scale Linear"),
    ),
    BadStudy(
        "bounds of a list",
        {f"{_P}.2.min": 1},
        (f"{_P}[2].min", "means nothing to type Categorical", "leave it out"),
    ),
    BadStudy(
        "weights all zero",
        {f"{_P}.2.weights": [0, 0]},
        (f"{_P}[2].weights", "all weights are 0", "positive weight"),
    ),
    BadStudy(
        "unknown type",
        {f"{_P}.1.type": "int"},
        (f"{_P}[1].type", '"int"', '"Float", "Integer", "Categorical", "Ordinal", "Constant"'),
    ),
    BadStudy(
        "name with a space",
        {f"{_P}.0.name": "learning rate"},
        (f"{_P}[0].name", "learning rate", "should match"),
    ),
    BadStudy(
        "the same name twice",
        {f"{_P}.1.name": "rate"},
        (f"{_P}[1]", "Duplicate value", "rate"),
        field=f"{_P}[1].name",
    ),
    # -- parameters: what only the admission policy sees
    BadStudy(
        "one environment variable for two",
        {f"{_P}.2.name": "lr-max", f"{_P}.3.name": "lr_max"},
        ('["LR_MAX", "LR_MAX"]', "the same environment variable", "rename one"),
        field=f"{_P}[3].name",
    ),
    BadStudy(
        "no values",
        {f"{_P}.3": {"name": "batch", "type": "Ordinal"}},
        (f"{_P}: values is missing", '["batch"]', "list what"),
        field=f"{_P}[3].values",
    ),
    BadStudy(
        "values of a number",
        {f"{_P}.1.values": [1, 2]},
        ("values means nothing", '["layers"]', "leave it out"),
        field=f"{_P}[1].values",
    ),
    BadStudy(
        "the same value twice",
        {f"{_P}.2.values": ["relu", "relu"]},
        (f"{_P}[2].values[1]", "Duplicate value", "relu"),
    ),
    BadStudy(
        "too few weights",
        {f"{_P}.2.weights": [1]},
        ('weights of ["activation"]', "give one for each"),
        field=f"{_P}[2].weights",
    ),
    BadStudy(
        "a list as a value",
        {f"{_P}.3.values": [[32, 64], [64, 128]]},
        ('["batch"]', "a list, an object or null", "JSON string"),
        field=f"{_P}[3].values[0]",
    ),
    BadStudy(
        "constant without a value",
        {f"{_P}.6.value": REMOVED},
        ("value is missing", '["epsilon"]', "a Constant needs one"),
        field=f"{_P}[6].value",
    ),
    BadStudy(
        "parent that does not exist",
        {f"{_P}.4.when": {"depth": [2]}},
        ('when of ["dropout"]', "does not exist", "name another parameter"),
        field=f"{_P}[4].when.depth",
    ),
    BadStudy(
        "parent that is a Float",
        {f"{_P}.4.when": {"momentum": [0.9]}},
        ('when of ["dropout"]', "depends on a Float", "Integer, Categorical"),
        field=f"{_P}[4].when.momentum",
    ),
    BadStudy(
        "value that the parent never has",
        {f"{_P}.4.when": {"batch": ["32"]}},
        ("when of dropout {", "never has", "of the same type"),
        field=f"{_P}[4].when.batch",
    ),
    BadStudy(
        "layers that the parent never has",
        {f"{_P}.4.when": {"layers": [5]}},
        ("when of dropout {", "never has", "of the same type"),
        field=f"{_P}[4].when.layers",
    ),
    BadStudy(
        "half a layer as a condition",
        {f"{_P}.4.when": {"layers": [2.5]}},
        ("when of dropout {", "never has", "of the same type"),
        field=f"{_P}[4].when.layers",
    ),
    # -- initialParameters, warmStart
    BadStudy(
        "initial value of no parameter",
        {"spec.initialParameters": [{"layers": 2}, {"depth": 2, "width": 8}]},
        (
            "spec.initialParameters[1]: no parameters are named ",  # in any order
            "depth",
            "width",
            ": use the names in spec.parameters",
        ),
        field="spec.initialParameters[1].depth",
    ),
    BadStudy(
        "initial value that is a list",
        {"spec.initialParameters": [{"batch": [32, 64]}]},
        ("spec.initialParameters[0]", "batch has a value that is a list, an object or null"),
        field="spec.initialParameters[0].batch",
    ),
    BadStudy(
        "initial value out of bounds",
        {"spec.initialParameters": [{"rate": 0.01}, {"rate": 0.5}]},
        ("spec.initialParameters[1].rate", "0.5 is outside 1e-05 … 0.1: stay inside"),
    ),
    BadStudy(
        "initial value of another type",
        {"spec.initialParameters": [{"batch": "32", "layers": True, "epsilon": 1}]},
        (
            "spec.initialParameters[0].batch",
            '"32" is not among its values: use one of 32, 64, 128 (quotes make a string)',
            "[0].layers: true is not a number: give one",
            "[0].epsilon: 1 is not among its values: use one of 1e-08",
        ),
    ),
    BadStudy(
        "half a layer to begin with",
        {"spec.initialParameters": [{"layers": 2.0}, {"layers": 2.5}]},
        ("spec.initialParameters[1].layers", "2.5 is not a whole number"),
    ),
    BadStudy(
        "initial values without names",
        {"spec.initialParameters": [0.01]},
        ("spec.initialParameters[0]", "must be of type object"),
    ),
    BadStudy(
        "a warm start from nothing",
        {"spec.warmStart": {"fromStudies": []}},
        ("spec.warmStart.fromStudies", "should have at least 1 items"),
    ),
    BadStudy(
        "a warm start from itself",
        {"spec.warmStart": {"fromStudies": ["other", "bad"]}},
        ("spec.warmStart.fromStudies", "bad is this study itself", "name other studies"),
    ),
    BadStudy(
        "a warm start from a path",
        {"spec.warmStart": {"fromStudies": ["old", "../../default/x"]}},
        (
            "spec.warmStart.fromStudies[1]",
            "../../default/x cannot be the name of a study",
            "write lower-case letters",
        ),
    ),
    BadStudy(
        "a warm start from a query",
        {"spec.warmStart": {"fromStudies": ["a b,c=d"]}},
        ("spec.warmStart.fromStudies[0]", "a b,c=d cannot be the name of a study"),
    ),
    BadStudy(
        "a warm start twice from one study",
        {"spec.warmStart": {"fromStudies": ["other", "other"]}},
        ("spec.warmStart.fromStudies[1]", "Duplicate value"),
    ),
    # -- pods
    BadStudy("no template", {"spec.trialTemplate": REMOVED}, ("spec.trialTemplate", "Required")),
    BadStudy(
        "no containers",
        {f"{_POD}.containers": []},
        (f"{_POD}.containers", "at least 1 items"),
    ),
    BadStudy(
        "restarts by the kubelet",
        {f"{_POD}.restartPolicy": "OnFailure"},
        (f"{_POD}.restartPolicy", "OnFailure", "remove restartPolicy"),
    ),
    BadStudy(
        "the operator's own variable",
        {f"{_POD}.containers.0.env": [{"name": "HYPERBAND_TRIAL", "value": "1"}]},
        (_POD, '["train"] set variables HYPERBAND_', "remove them"),
        field=f"{_POD}.containers[0].env[0].name",
    ),
    BadStudy(
        "a volume named as the operator's own",
        {f"{_POD}.volumes": [{"name": "hyperband-report", "emptyDir": {}}]},
        (_POD, "hyperband-report", "give them others"),
        field=f"{_POD}.volumes[0].name",
    ),
    BadStudy(
        "a container named as the operator's own",
        {f"{_POD}.initContainers": [{"name": "hyperband-sidecar", "image": "spy"}]},
        (_POD, "hyperband-sidecar", "give them others"),
        field=f"{_POD}.initContainers[0].name",
    ),
    BadStudy(
        "the reporter's token in another container",
        {
            f"{_POD}.initContainers": [
                {
                    "name": "spy",
                    "image": "spy",
                    "volumeMounts": [{"name": "hyperband-reporter", "mountPath": "/token"}],
                }
            ]
        },
        (_POD, '["spy"]', "hyperband-reporter", "remove them"),
        field=f"{_POD}.initContainers[0].volumeMounts[0].name",
    ),
    BadStudy(
        "an image of no sidecar",
        {"spec.reporting": {"mode": "Direct", "image": "example.com/sidecar:1"}},
        ("spec.reporting.image", "mode Direct", "leave image out"),
    ),
    BadStudy(
        "the operator's own label",
        {"spec.trialTemplate.metadata.labels": {"hyperband.dev/study": "other"}},
        ("spec.trialTemplate.metadata.labels", "hyperband.dev/study begins with", "remove it"),
    ),
    BadStudy(
        "a container that is not there",
        {"spec.trialTemplate.metadata.annotations": {_ANNOTATION: "trainer"}},
        ("spec.trialTemplate.metadata.annotations", "container trainer", "remove the annotation"),
    ),
    BadStudy(
        "two volumes",
        {"spec.checkpoint.volume": {"hostPath": {"path": "/a"}, "nfs": {"server": "b"}}},
        ("spec.checkpoint.volume", "hostPath", "exactly one source"),
    ),
    BadStudy(
        "checkpoints that vanish",
        {"spec.checkpoint.volume": {"emptyDir": {}}},
        ("spec.checkpoint.volume.emptyDir", "gone with each pod", "persistentVolumeClaim"),
    ),
    BadStudy(
        "a relative mount path",
        {"spec.checkpoint.mountPath": "checkpoint"},
        ("spec.checkpoint.mountPath", "checkpoint", "should match"),
    ),
    BadStudy(
        "a mount path that is taken",
        {f"{_POD}.containers.0.volumeMounts": [{"name": "x", "mountPath": "/checkpoint"}]},
        ("spec.checkpoint.mountPath", '["train"]', "choose another mountPath"),
    ),
    BadStudy(
        "the same GPU twice",
        {"spec.gpuResources": ["nvidia.com/gpu", "nvidia.com/gpu"]},
        ("spec.gpuResources[1]", "Duplicate value"),
    ),
    BadStudy(
        "a name too long for its pods",
        {"metadata.name": "a" * 41},
        ("metadata.name", "longer than 40 characters", "shorten it"),
    ),
    BadStudy(
        "a field that does not exist",
        {"spec.maxTrial": 200},
        ('unknown field "spec.maxTrial"',),
        field="spec.maxTrial",
    ),
)

SERVER_CANNOT_KNOW: Final = (
    BadStudy(
        "more brackets than rungs",
        {"spec.hyperband.brackets": 5},
        ("spec.hyperband.brackets", "5 is more than the 4 rungs", "1, 3, 9, 27", "at most 4"),
    ),
    BadStudy(
        "conditions in a circle",
        {f"{_P}.1.when": {"activation": ["relu"]}, f"{_P}.2.when": {"layers": [2]}},
        (f"{_P}[1].when", "is a cycle", "remove one of these conditions"),
    ),
    BadStudy(
        "bounds far from the bell curve",
        {f"{_P}.5.mean": 90},
        (f"{_P}[5].", "mean 90", "change the mean"),
    ),
    BadStudy(
        "value between the steps of its parent",
        {f"{_P}.1.min": 0, f"{_P}.1.step": 2, f"{_P}.4.when": {"layers": [3]}},
        (f"{_P}[4].when.layers", "can never be 3"),
    ),
    BadStudy(
        "initial value between the steps",
        {"spec.initialParameters": [{"layers": 2, "dropout": 0.25}]},
        ("spec.initialParameters[0].dropout", "0.25 is not 0.0 plus a multiple", "use 0.2 or 0.3"),
    ),
    BadStudy(
        "a mount below another's path",
        {f"{_POD}.containers.0.volumeMounts": [{"name": "x", "mountPath": "/checkpoint/"}]},
        ("spec.checkpoint.mountPath", "/checkpoint", "choose another mountPath"),
    ),
    BadStudy(
        "more rungs than anybody needs",
        {"spec.resource": {"type": "Float", "min": 1e-300, "max": 27}},
        ("spec.resource.min", "1e-300", "raise min"),
    ),
)

REFUSED_CHANGES: Final = (
    BadStudy(
        "objective", {"spec.objective.goal": "Maximize"}, ("spec.objective", "create a new study")
    ),
    BadStudy("resource", {"spec.resource.max": 81}, ("spec.resource", "create a new study")),
    BadStudy("hyperband", {"spec.hyperband.eta": 4}, ("spec.hyperband", "create a new study")),
    BadStudy("searcher", {"spec.searcher.seed": 1}, ("spec.searcher", "create a new study")),
    BadStudy("seed", {"spec.searcher": {"type": "Random"}}, ("spec.searcher", "a new study")),
    BadStudy(
        "bounds", {f"{_P}.0.min": 1e-6}, ("spec.parameters cannot change", "create a new study")
    ),
    BadStudy(
        "values",
        {f"{_P}.3.values": [32, 64]},
        ("spec.parameters cannot change", "create a new study"),
    ),
    BadStudy(
        "image",
        {f"{_POD}.containers.0.image": "example.com/train:2"},
        ("spec.trialTemplate cannot change", "create a new study"),
    ),
    BadStudy(
        "one unknown key for another",
        {f"{_POD}.containers.0.resources": REMOVED, f"{_POD}.containers.0.command": ["true"]},
        ("spec.trialTemplate cannot change", "create a new study"),
    ),
    BadStudy(
        "no checkpoint any more",
        {"spec.checkpoint": REMOVED},
        ("spec.checkpoint cannot be added or removed", "create a new study"),
    ),
    BadStudy(
        "another volume",
        {"spec.checkpoint.volume": {"hostPath": {"path": "/other"}}},
        ("spec.checkpoint.volume cannot change", "create a new study"),
    ),
    BadStudy("mount path", {"spec.checkpoint.mountPath": "/c"}, ("spec.checkpoint.mountPath",)),
    BadStudy("reporting", {"spec.reporting.mode": "Manual"}, ("spec.reporting", "a new study")),
    BadStudy(
        "points to begin with",
        {"spec.initialParameters": [{"layers": 2}]},
        ("spec.initialParameters cannot change", "create a new study"),
    ),
    BadStudy(
        "warm start",
        {"spec.warmStart": {"fromStudies": ["other"]}},
        ("spec.warmStart cannot change", "create a new study"),
    ),
    BadStudy("GPUs", {"spec.gpuResources": ["amd.com/gpu"]}, ("spec.gpuResources", "a new study")),
    BadStudy("resume", {"spec.resume": False}, ("spec.resume cannot change", "a new study")),
)

ALLOWED_CHANGES: Final[Mapping[str, Any]] = {
    "spec.parallelism": 4,
    "spec.maxTrials": 100,
    "spec.suspend": True,
    "spec.stop": True,
    "spec.budget": {"gpuHours": 0.5, "duration": "1h30m", "resourceUnits": 100},
    "spec.onBudget": "Stop",
    "spec.earlyStopping": [{"metric": "accuracy", "goal": "Maximize", "value": 0.99}],
    "spec.retention": {"pods": "0s", "logs": "Discard"},
    "spec.ttlAfterFinished": "30d",
    "spec.failurePolicy": {"maxFailedTrials": 0, "retries": 0},
}
