"""Sources for `hyperband convert`, and what is asked of each study that comes of one."""

from collections.abc import Callable, Mapping
from typing import Any

from hyperband.api.files import parse_manifest
from hyperband.api.study import StudyResource, parse_study
from hyperband.api.study_problems import study_problems
from hyperband.backends.simulator.expectation import simulate_run
from hyperband.cli.converting.source import Converted
from hyperband.cli.converting.text import study_text

Change = Callable[[dict[str, Any]], None]


def group(matrix: Mapping[str, Any] | None = None, **hptuning: Any) -> dict[str, Any]:
    """A small polyaxonfile."""
    search = {
        "max_iter": 9,
        "eta": 3,
        "resource": {"name": "epochs", "type": "int"},
        "metric": {"name": "loss", "optimization": "minimize"},
    }
    return {
        "version": 1,
        "kind": "group",
        "hptuning": {
            "hyperband": search,
            "matrix": matrix or {"rate": {"uniform": [0, 1]}},
            **hptuning,
        },
        "build": {"image": "train:1"},
        "run": {"cmd": "train --rate={{ rate }}"},
    }


def experiment(algorithm: str = "random", *parameters: Any, **spec: Any) -> dict[str, Any]:
    """A small Experiment."""
    rate = {
        "name": "rate",
        "parameterType": "double",
        "feasibleSpace": {"min": "0.1", "max": "0.9"},
    }
    container = {"name": "train", "image": "train:1", "args": ["${trialParameters.rate}"]}
    template = {
        "trialParameters": [{"name": "rate", "reference": "rate"}],
        "trialSpec": {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "spec": {"template": {"spec": {"containers": [container]}}},
        },
    }
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": "small"},
        "spec": {
            "maxTrialCount": 6,
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": algorithm},
            "parameters": [rate, *parameters],
            "trialTemplate": template,
            **spec,
        },
    }


def read_back(made: Converted) -> StudyResource:
    """The study as the written file has it, which is what was converted, and valid."""
    body = parse_manifest(study_text(made, "source.yaml").encode(), "study.yaml")
    assert body == made.body
    assert study_problems(body) == []
    return parse_study(body)


def run(resource: StudyResource) -> int:
    """Runs it on simulated workers; the number of its trials."""
    ended = simulate_run(resource.study, 0, gpus=resource.gpus, unit_seconds=None)
    assert ended.completed > 0
    return ended.trials
