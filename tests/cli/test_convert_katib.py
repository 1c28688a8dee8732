"""Katib's Experiments as studies: searches, parameters, templates, and what is refused."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperband.cli.converting.katib import convert_katib
from hyperband.cli.converting.polyaxon import convert_polyaxon
from hyperband.core.errors import InvalidStudyError
from hyperband.core.records import Goal, Sizes
from hyperband.core.space import (
    Categorical,
    Constant,
    Distribution,
    Float,
    Integer,
    Ordinal,
    Parameter,
    Scale,
)
from tests.cli.converting import Change, experiment, group, read_back, run

EPOCHS = {"name": "epochs", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "81"}}


def settings(**given: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in given.items()]


def rungs(name: str = "hyperband", **given: str) -> dict[str, Any]:
    """An experiment with epochs as the resource."""
    wanted = {"resource_name": "epochs", "eta": "3", "r_l": "81", **given}
    source = experiment(name, EPOCHS, maxTrialCount=None)
    source["spec"]["algorithm"]["algorithmSettings"] = settings(**wanted)
    return source


def notes_of(source: dict[str, Any]) -> str:
    return "\n".join(map(str, convert_katib(source, "study").notes))


def test_hyperband_has_katibs_sizes_and_starts_anew_at_each_rung() -> None:
    """n = ⌈(s_max + 1)·eta^s / (s + 1)⌉, as its suggestion service has it: the paper's sizes."""
    resource = read_back(convert_katib(rungs(), "study"))
    study = resource.study
    assert (study.mode, study.eta, study.brackets, study.sizes) == (
        "Synchronous",
        3,
        5,
        Sizes.PAPER,
    )
    assert (study.resource.name, study.resource.min, study.resource.max) == ("epochs", 1, 81)
    assert (study.max_trials, study.resume) == (81 + 34 + 15 + 8 + 5, False)
    assert [parameter.name for parameter in study.space.parameters] == ["rate"]
    assert run(resource) == 143


def test_asha_promotes() -> None:
    study = read_back(convert_katib(rungs("asha"), "study")).study
    assert (study.mode, study.brackets, study.resource.max) == ("Promotion", 1, 81)


@pytest.mark.parametrize(
    ("name", "searcher", "quasi_random"),
    [
        ("random", "Random", None),
        ("sobol", "Random", True),
        ("grid", "Random", True),
        ("bayesianoptimization", "GaussianProcess", None),
        ("tpe", "KernelDensity", None),
        ("multivariate-tpe", "KernelDensity", None),
        ("cmaes", "GaussianProcess", None),
        ("pbt", "Evolution", None),
    ],
)
def test_each_algorithm_has_a_searcher(name: str, searcher: str, quasi_random: bool | None) -> None:
    resource = read_back(convert_katib(experiment(name), "study"))
    study = resource.study
    assert (study.searcher, study.options.quasi_random) == (searcher, quasi_random)
    assert (study.mode, study.max_trials, study.parallelism) == ("None", 6, 3)
    assert (study.resource.name, study.resource.max) == ("trainings", 1)
    assert run(resource) == 6


def test_counts_goal_and_settings() -> None:
    source = experiment(
        "pbt",
        objective={"type": "maximize", "goal": 0.9, "objectiveMetricName": "acc"},
        parallelTrialCount=2,
        maxFailedTrialCount=1,
    )
    source["spec"]["algorithm"]["algorithmSettings"] = settings(n_population="4", random_state="3")
    made = read_back(convert_katib(source, "study"))
    assert (made.study.parallelism, made.study.failure_policy.max_failed_trials) == (2, 1)
    (target,) = made.study.targets
    assert (target.metric, target.goal, target.value) == ("acc", Goal.MAXIMIZE, 0.9)
    assert (made.study.options.population, made.study.seed) == (4, 3)


# parameterType, feasibleSpace, ours.
SPACES: list[tuple[str, dict[str, Any], Parameter]] = [
    ("double", {"min": "0.01", "max": "0.03"}, Float("x", 0.01, 0.03)),
    ("double", {"min": "0", "max": "1", "step": "0.25"}, Float("x", 0, 1, step=0.25)),
    (
        "double",
        {"min": "1e-5", "max": "1", "distribution": "logUniform"},
        Float("x", 1e-5, 1, Scale.LOG),
    ),
    (
        "double",
        {"min": "-3", "max": "3", "distribution": "normal"},
        Float("x", -3, 3, distribution=Distribution.NORMAL, mean=0, deviation=1),
    ),
    ("double", {"min": "2", "max": "2"}, Constant("x", 2)),
    ("int", {"min": "2", "max": "5"}, Integer("x", 2, 5)),
    ("int", {"min": "0", "max": "9", "step": "3"}, Integer("x", 0, 9, step=3)),
    ("int", {"min": "1", "max": "3", "distribution": "uniform"}, Integer("x", 1, 3)),
    (
        "int",
        {"min": "1", "max": "300", "distribution": "logUniform"},
        Integer("x", 1, 300, Scale.LOG),
    ),
    (
        "int",
        {"min": "4", "max": "16", "distribution": "normal"},
        Integer("x", 4, 16, distribution=Distribution.NORMAL, mean=10, deviation=2),
    ),
    ("discrete", {"list": ["64", "16", "0.5"]}, Ordinal("x", (0.5, 16, 64))),
    ("categorical", {"list": ["sgd", "1", "no"]}, Categorical("x", ("sgd", "1", "no"))),
]


@pytest.mark.parametrize(("kind", "space", "ours"), SPACES)
def test_parameters(kind: str, space: dict[str, Any], ours: Parameter) -> None:
    source = experiment("random", {"name": "x", "parameterType": kind, "feasibleSpace": space})
    resource = read_back(convert_katib(source, "study"))
    assert resource.study.space.parameters[1] == ours


def test_the_log_normal_is_of_natural_logarithms() -> None:
    space = {"min": "1", "max": "20.0855369232", "distribution": "logNormal"}  # e^0 to e^3
    source = experiment("tpe", {"name": "x", "parameterType": "double", "feasibleSpace": space})
    x = read_back(convert_katib(source, "study")).study.space.parameters[1]
    assert isinstance(x, Float)
    assert (x.mean, x.deviation) == (pytest.approx(1.5), pytest.approx(0.5))


def container(source: dict[str, Any]) -> dict[str, Any]:
    pod = source["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]
    found: dict[str, Any] = pod["containers"][0]
    return found


def test_placeholders_become_variables_where_kubernetes_expands_them() -> None:
    source = rungs()
    template = source["spec"]["trialTemplate"]
    template["trialParameters"] += [
        {"name": "epochs", "reference": "epochs"},
        {"name": "name", "reference": "${trialSpec.Name}"},
        {"name": "space", "reference": "${trialSpec.Namespace}"},
        {"name": "version", "reference": "${trialSpec.APIVersion}"},
        {"name": "owner", "reference": "${trialSpec.Annotations[team/owner]}"},
    ]
    template["trialSpec"]["metadata"] = {"annotations": {"team/owner": "ann"}}
    container(source).update(
        command=["sh", "-c", "train ${trialParameters.rate} ${trialParameters.epochs}"],
        args=["${trialParameters.owner}/${trialParameters.version}"],
        env=[{"name": "RUN", "value": "${trialParameters.space}/${trialParameters.name}"}],
        image="train:${trialParameters.owner}",
    )
    made = read_back(convert_katib(source, "study")).template.spec["containers"][0]
    assert made["command"][2] == "train $(HYPERBAND_PARAM_RATE) $(HYPERBAND_RESOURCE_TO)"
    assert made["args"] == ["ann/batch/v1"]
    assert made["env"][0]["value"] == "$(HYPERBAND_POD_NAMESPACE)/$(HYPERBAND_TRIAL)"
    assert made["image"] == "train:ann"
    assert "${trialParameters.epochs} is HYPERBAND_RESOURCE_TO here" in notes_of(source)


def test_another_container_may_train() -> None:
    source = experiment()
    pod = source["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]
    pod["containers"].insert(0, {"name": "proxy", "image": "proxy:1"})
    source["spec"]["trialTemplate"]["primaryContainerName"] = "train"
    template = read_back(convert_katib(source, "study")).template
    assert template.spec["containers"][template.container]["name"] == "train"


@pytest.mark.parametrize(
    ("kind", "where", "role"),
    [
        ("PyTorchJob", "pytorchReplicaSpecs", "Master"),
        ("TFJob", "tfReplicaSpecs", "Chief"),
        ("XGBoostJob", "xgbReplicaSpecs", "Master"),
        ("PaddleJob", "paddleReplicaSpecs", "Worker"),
        ("JAXJob", "jaxReplicaSpecs", "Worker"),
    ],
)
def test_of_a_training_job_the_pod_that_leads_is_taken(kind: str, where: str, role: str) -> None:
    source = experiment()
    job = source["spec"]["trialTemplate"]["trialSpec"]
    pod = job["spec"].pop("template")
    job |= {"kind": kind, "spec": {where: {role: {"replicas": 2, "template": pod}}}}
    made = read_back(convert_katib(source, "study"))
    assert made.template.spec["containers"][0]["args"] == ["$(HYPERBAND_PARAM_RATE)"]
    assert f"{role} has replicas: a trial here is one pod, so that only {role}" in notes_of(source)


def trial(change: Change) -> dict[str, Any]:
    """An experiment with another trialTemplate."""
    source = experiment()
    change(source["spec"]["trialTemplate"])
    return source


def job(**fields: Any) -> dict[str, Any]:
    return trial(lambda template: template["trialSpec"]["spec"].update(fields))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            experiment("cmaes"),
            "algorithmName: cmaes has no counterpart: GaussianProcess is nearest",
        ),
        (experiment("grid"), "grid tries each point of a grid, which no searcher here does"),
        (experiment("pbt"), "pbt changes parameters while a trial trains, which nothing here does"),
        (experiment(), "spec.algorithm: does not say what training spends, so that a trial is one"),
        (experiment(maxTrialCount=None), "is missing, so that Katib has no end: maxTrials is 50"),
        (
            experiment(earlyStopping={"algorithmName": "medianstop"}),
            "spec.earlyStopping: medianstop stops trials worse than the median, as rungs do here",
        ),
        (experiment(resumePolicy="LongRunning"), "LongRunning lets a finished experiment go on"),
        (
            experiment(metricsCollectorSpec={"collector": {"kind": "TensorFlowEvent"}}),
            "Katib's collector TensorFlowEvent reads TensorFlow's event files; the operator",
        ),
        (
            experiment(),
            "Katib's collector StdOut reads metrics from the log; the operator does not",
        ),
        (rungs(), "maxTrials counts configurations, and all brackets take 143; it is 143 here"),
        (experiment(surprise=1), "spec.surprise: has no counterpart and is left out"),
        (
            trial(lambda it: it.update(retain=True)),
            "retain: keeps finished pods: here they stay for",
        ),
        (
            trial(lambda it: it.update(successCondition="status.done")),
            "successCondition: is not needed: a trial is one pod",
        ),
        (job(activeDeadlineSeconds=60), "activeDeadlineSeconds: ends a trial that takes too long"),
        (job(completions=2), "spec.completions: runs several pods: a trial here is one pod"),
    ],
)
def test_what_is_not_the_same_is_noted(source: dict[str, Any], said: str) -> None:
    assert said in notes_of(source)
    read_back(convert_katib(source, "study"))


def image(text: str) -> dict[str, Any]:
    source = experiment()
    container(source)["image"] = text
    return source


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (experiment("darts"), 'spec.algorithm.algorithmName: "darts" is not known: use one of hyp'),
        (experiment(nasConfig={}), "spec.nasConfig: searches for an architecture inside of one"),
        (experiment(parameters=[]), "spec.parameters: is missing: list what is tuned"),
        (
            experiment(objective={}),
            "spec.objective.objectiveMetricName: is missing: name the metric",
        ),
        (
            experiment(objective={"objectiveMetricName": "x", "type": "less"}),
            'spec.objective.type: "less" is not known: use one of minimize, maximize',
        ),
        (rungs(r_l="x"), 'algorithmSettings.r_l: "x" is no number: give one'),
        (rungs(r_l="2"), "algorithmSettings.r_l: 2 is below eta 3, so that no rung lies below it"),
        (rungs(eta="1"), 'algorithmSettings.eta: "1" is below 2: give at least 2'),
        (rungs(resource_name="steps"), 'resource_name "steps" is not among parameters: name one'),
        (experiment("hyperband"), "r_l is missing: hyperband needs r_l and resource_name"),
        (
            experiment(earlyStopping={"algorithmName": "other"}),
            'spec.earlyStopping.algorithmName: "other" is not known: use medianstop',
        ),
        (experiment(resumePolicy="Often"), 'spec.resumePolicy: "Often" is not known: use Never'),
        (
            experiment(parallelTrialCount=0),
            "spec.parallelTrialCount: 0 is below 1: give at least 1",
        ),
        (image("train:${trialParameters.rate}"), "stands where all trials have the same: write a"),
        (
            image("train:${trialParameters.tag}"),
            "${trialParameters.tag} is not among trialParameters",
        ),
        (
            trial(lambda it: it.update(configMap={"configMapName": "x"})),
            "spec.trialTemplate.configMap: has the template in another object: copy it",
        ),
        (
            trial(lambda it: it["trialSpec"].update(kind="Workflow")),
            'spec.trialTemplate.trialSpec.kind: "Workflow" is not known: use one of Job, Pod, PyT',
        ),
        (
            trial(lambda it: it["trialSpec"].update(kind="MPIJob")),
            "MPIJob trains in several pods, and a trial here is one pod: write a Job in which",
        ),
        (
            trial(lambda it: it["trialParameters"].append({"name": "a", "reference": "b"})),
            'trialParameters[1].reference: "b" is neither a parameter nor known of trialSpec',
        ),
        (
            trial(lambda it: it.update(primaryContainerName="main")),
            'primaryContainerName: "main" is not among the containers train: name one',
        ),
        (job(template={}), "spec.template.spec.containers: is missing: write the one that trains"),
    ],
)
def test_what_katib_would_not_take_is_told(source: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidStudyError) as error:
        convert_katib(source, "study")
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("kind", "space", "told"),
    [
        ("float", {}, 'parameterType: "float" is not known: use one of double, int, categ'),
        ("double", {"min": "1"}, "feasibleSpace.max: is missing: give it"),
        (
            "double",
            {"min": "2", "max": "1"},
            "feasibleSpace.min: 2 is above max 1: exchange the two",
        ),
        (
            "int",
            {"min": "1", "max": "2.5"},
            'feasibleSpace.max: "2.5" is no whole number: round it',
        ),
        (
            "double",
            {"min": "1", "max": "2", "step": "0"},
            "feasibleSpace.step: 0 is not above 0: raise it",
        ),
        (
            "double",
            {"min": "0", "max": "1", "distribution": "logUniform"},
            "feasibleSpace.min: 0 has no logarithm: give a min above 0",
        ),
        ("discrete", {"list": ["a"]}, 'feasibleSpace.list: "a" is no number: give one'),
        ("categorical", {}, "feasibleSpace.list: lists nothing: list at least one value"),
    ],
)
def test_spaces_that_cannot_be(kind: str, space: dict[str, Any], told: str) -> None:
    source = experiment("random", {"name": "x", "parameterType": kind, "feasibleSpace": space})
    with pytest.raises(InvalidStudyError) as error:
        convert_katib(source, "study")
    assert f"spec.parameters[1].{told}" in str(error.value)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 99) | st.floats() | st.sampled_from(["", "x", "3"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a source."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, item in items:
        found.append((*path, key))
        if isinstance(item, dict | list):
            found += paths(item, (*path, key))
    return found


@given(st.data(), ANYTHING)
def test_whatever_stands_somewhere_is_read_or_refused(data: st.DataObject, value: Any) -> None:
    """One field of a good source is something else: never anything but a sentence about a field."""
    polyaxon = group(
        seed=1,
        concurrency=2,
        early_stopping=[{"metric": "a", "value": 1, "optimization": "maximize"}],
    ) | {
        "declarations": {"size": 3},
        "environment": {"resources": {"gpu": {"limits": 1}}, "secret_refs": ["a"], "labels": {}},
    }
    katib = rungs()
    katib["spec"] |= {"metricsCollectorSpec": {"collector": {"kind": "None"}}}
    source, converter = data.draw(
        st.sampled_from([(polyaxon, convert_polyaxon), (katib, convert_katib)])
    )
    source = deepcopy(source)
    *way, last = data.draw(st.sampled_from(paths(source)))
    place: Any = source
    for step in way:
        place = place[step]
    place[last] = value
    try:
        made = converter(source, "study")
    except InvalidStudyError as error:
        assert error.field
        assert ": " in error.problem
    else:
        assert made.body["kind"] == "HyperbandStudy"
