"""Polyaxon's files as studies: other searches, pods, and what is refused."""

import math
from typing import Any

import pytest

from hyperband.cli.converting.polyaxon import convert_polyaxon, is_polyaxon
from hyperband.core.errors import InvalidStudyError
from tests.cli.converting import group, read_back, run


def search(**hptuning: Any) -> dict[str, Any]:
    """A file with another search than hyperband."""
    source = group(**hptuning)
    del source["hptuning"]["hyperband"]
    return source


def hyperband(**fields: Any) -> dict[str, Any]:
    source = group()
    source["hptuning"]["hyperband"] |= fields
    return source


def notes_of(source: dict[str, Any]) -> str:
    return "\n".join(map(str, convert_polyaxon(source, "study").notes))


@pytest.mark.parametrize(
    ("maximum", "eta", "kind", "least", "brackets", "trials"),
    [
        (81, 3, "int", 1, 5, 81 + 27 + 9 + 6 + 5),
        (243, 3, "int", 1, 6, 243 + 81 + 27 + 18 + 9 + 6),
        (100, 3, "int", 2, 5, 81 + 27 + 9 + 6 + 5),
        (100, 3, "float", 100 / 81, 5, 81 + 27 + 9 + 6 + 5),
        (16, 4, "int", 1, 3, 16 + 4 + 3),
    ],
)
def test_rungs(maximum: int, eta: int, kind: str, least: float, brackets: int, trials: int) -> None:
    """A bracket for each power of eta up to max_iter; ⌊⌊K/(s+1)⌋·eta^s⌋ trials start in each."""
    given = {"name": "epochs", "type": kind}
    resource = read_back(
        convert_polyaxon(hyperband(max_iter=maximum, eta=eta, resource=given), "study")
    )
    study = resource.study
    assert (study.resource.min, study.resource.max) == (pytest.approx(least, rel=1e-5), maximum)
    assert (study.brackets, study.max_trials) == (brackets, trials)
    assert run(resource) == trials


def test_newer_spellings_and_the_older_section_mean_the_same() -> None:
    source = group(early_stopping=[{"metric": "loss", "value": 1, "optimization": "minimize"}])
    expected = convert_polyaxon(source, "study").body
    tuning = source.pop("hptuning")
    tuning["earlyStopping"] = tuning.pop("early_stopping")
    tuning["hyperband"]["maxIterations"] = tuning["hyperband"].pop("max_iter")
    assert is_polyaxon(source | {"settings": tuning})
    assert convert_polyaxon(source | {"settings": tuning}, "study").body == expected


def test_other_searches() -> None:
    random = read_back(convert_polyaxon(search(random_search={"n_experiments": 7}), "study"))
    assert (random.study.searcher, random.study.mode, run(random)) == ("Random", "None", 7)
    model = {"n_iterations": 3, "n_initial_trials": 2, "metric": {"name": "acc"}}
    bayesian = read_back(convert_polyaxon(search(bo=model), "study"))
    assert (bayesian.study.searcher, bayesian.study.max_trials) == ("GaussianProcess", 5)
    lists = {"a": {"range": [0, 3, 1]}, "b": {"values": ["x", "y"]}, "c": {"range": "0:1:0.25"}}
    grid = read_back(convert_polyaxon(search(matrix=lists), "study"))
    assert (grid.study.max_trials, run(grid)) == (3 * 2 * 4, 24)
    few = read_back(convert_polyaxon(search(grid_search={"n_experiments": 4}), "study"))
    assert few.study.max_trials == 4


def test_the_objective_of_a_search_without_a_metric_is_the_first_target() -> None:
    target = {"metric": "accuracy", "value": 0.9, "optimization": "maximize"}
    source = search(random_search={"n_experiments": 7}, early_stopping=[target])
    objective = read_back(convert_polyaxon(source, "study")).study.objective
    assert (objective.metric, objective.goal) == ("accuracy", "Maximize")
    assert "names no metric: the first of early_stopping is the objective" in notes_of(source)


def command(text: Any) -> str:
    source = group() | {"run": {"cmd": text}, "declarations": {"size": 3}}
    container = read_back(convert_polyaxon(source, "study")).template.spec["containers"][0]
    assert container["command"] == ["/bin/sh", "-c"]
    return str(container["args"][0])


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        (
            "t --r={{ rate }} --s={{size}}",
            "t --r=$(HYPERBAND_PARAM_RATE) --s=$(HYPERBAND_PARAM_SIZE)",
        ),
        ("t {{ params.rate }}", "t $(HYPERBAND_PARAM_RATE)"),
        ("t --epochs={{ epochs }}", "t --epochs=$(HYPERBAND_RESOURCE_TO)"),
        (["a {{ rate }}", "b"], "a $(HYPERBAND_PARAM_RATE) && b"),
        ("t \\ --r={{ rate }}", "t --r=$(HYPERBAND_PARAM_RATE)"),  # folded by YAML
        ("t a\\ b", "t a\\ b"),
        ("t \\\n  --r=1", "t \\\n  --r=1"),
        ("t {{ rate * 2 }}", "t {{ rate * 2 }}"),
    ],
)
def test_templates_become_variables(text: Any, ours: str) -> None:
    assert command(text) == ours


def test_a_pod_has_what_the_environment_asks_for() -> None:
    source = group() | {
        "environment": {
            "resources": {
                "cpu": {"requests": 1, "limits": 2},
                "memory": {"requests": 256},
                "gpu": {"limits": 2},
            },
            "node_selector": {"pool": "gpus"},
            "affinity": {"nodeAffinity": {}},
            "service_account": "trainer",
            "config_map_refs": ["settings"],
            "labels": {"team": "vision"},
            "annotations": {"note": "x"},
        }
    }
    resource = read_back(convert_polyaxon(source, "study"))
    spec = resource.template.spec
    assert resource.gpus == 2
    assert spec["containers"][0]["resources"] == {
        "requests": {"cpu": 1, "memory": "256Mi"},
        "limits": {"cpu": 2, "nvidia.com/gpu": 2},
    }
    assert (spec["nodeSelector"], spec["serviceAccountName"]) == ({"pool": "gpus"}, "trainer")
    assert spec["affinity"] == {"nodeAffinity": {}}
    assert spec["containers"][0]["envFrom"] == [{"configMapRef": {"name": "settings"}}]
    assert (resource.template.labels, resource.template.annotations) == (
        {"team": "vision"},
        {"note": "x"},
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (hyperband(resume=True), "hptuning.hyperband.resume: needs a volume on which a promoted"),
        (group(seed=3), "hptuning.seed: keeps our own draws the same from run to run"),
        (
            search(matrix={"x": {"values": [1, 2]}}),
            "hptuning.grid_search: tries each point of a grid, which no searcher here does",
        ),
        (
            group({"epochs": {"range": [1, 3, 1]}, "x": {"values": [1, 2]}}),
            "epochs: is the resource",
        ),
        (group() | {"framework": "horovod"}, "framework: is for distributed training"),
        (group() | {"build": {"dockerfile": "D"}}, "build.image: is made from a dockerfile: write"),
        (group() | {"logging": {"level": "INFO"}}, "logging: has no counterpart and is left out"),
        (group(surprise=1), "hptuning.surprise: has no counterpart and is left out"),
        (group() | {"run": {}}, "run.cmd: is missing: the image's own command runs"),
    ],
)
def test_what_is_not_the_same_is_noted(source: dict[str, Any], said: str) -> None:
    assert said in notes_of(source)
    read_back(convert_polyaxon(source, "study"))


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (hyperband(max_iter=None), "hptuning.hyperband.max_iter: is missing: give the resource of"),
        (hyperband(max_iter=2), "hptuning.hyperband.max_iter: 2 is below eta 3, so that no rung"),
        (hyperband(max_iter="many"), '"many" is no number: give one'),
        (hyperband(max_iter=3**12), "takes 797593 trials: lower it, or raise eta"),
        (hyperband(eta=1), "hptuning.hyperband.eta: 1 is below 2: give at least 2"),
        (hyperband(metric=None), "hptuning.hyperband.metric: is missing: give its name"),
        (
            hyperband(metric={"name": "a", "optimization": "best"}),
            '"best" is not known: use one of',
        ),
        (
            hyperband(resource={"type": "int"}),
            "resource.name: is missing: name what training spends",
        ),
        (
            hyperband(resource={"name": "a", "type": "str"}),
            'resource.type: "str" is not known: use',
        ),
        (group() | {"hptuning": {}}, "hptuning.matrix: is missing: list the parameters"),
        (
            group(random_search={"n_experiments": 1}),
            "random_search: is there beside hyperband: keep",
        ),
        (search(random_search={"seed": 1}), "n_experiments: is missing: say how many experiments"),
        (search(), "has no end of values, which a grid cannot have: give rate a list"),
        (group(concurrency=0), "hptuning.concurrency: 0 is below 1: give at least 1"),
        (
            group(early_stopping=[{"metric": "a"}]),
            "early_stopping[0].value: is missing: say what is",
        ),
        (group(early_stopping=[{"kind": "x"}]), 'early_stopping[0].kind: "x" is not known: use'),
        (group() | {"build": {"env_vars": ["A"]}}, 'env_vars[0]: "A" is not [name, value]: write'),
        (group() | {"run": {"cmd": 3}}, "run.cmd: 3 is no command: write text"),
        (
            group() | {"environment": {"resources": {"memory": {"limits": math.inf}}}},
            "environment.resources.memory.limits: Infinity is no number: give one",
        ),
    ],
)
def test_what_polyaxon_would_not_take_is_told(source: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidStudyError) as error:
        convert_polyaxon(source, "study")
    assert told in str(error.value)
