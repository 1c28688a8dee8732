"""`hyperband.Study` and its file are the same thing; what is wrong with one is told."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import hyperband
from hyperband import (
    Categorical,
    Constant,
    Float,
    Integer,
    InvalidStudyError,
    Ordinal,
    Study,
    StudyProblemsError,
)
from tests.studies import changed, good_study, large_study

SAMPLES = sorted((Path(__file__).parents[2] / "manifests/samples").glob("*.yaml"))


def built(**changes: Any) -> Study:
    fields: dict[str, Any] = {
        "metric": "val_loss",
        "resource": ("epochs", 1, 27),
        "parameters": [Float("rate", 1e-5, 0.1, log=True)],
        "max_trials": 9,
        "image": "example.com/train:1",
    }
    return Study("digits", **{**fields, **changes})


def test_what_is_built_is_what_a_file_has() -> None:
    study = Study(
        "digits",
        namespace="team",
        labels={"team": "vision"},
        metric="val_loss",
        resource=("epochs", 1, 27),
        parameters=[
            Float("rate", 1e-5, 0.1, log=True),
            Integer("layers", 1, 4),
            Categorical("activation", ["relu", "tanh"], weights=[0.8, 0.2]),
            Ordinal("batch", [32, 64, 128]),
            Float("dropout", 0, 0.6, step=0.1, when={"layers": [2, 3, 4]}),
            Float("momentum", 0, 1, distribution="Normal", mean=0.9, deviation=0.05),
            Constant("epsilon", 1e-8),
        ],
        max_trials=200,
        parallelism=8,
        searcher="GaussianProcess",
        seed=0,
        image="example.com/train:1",
        command=["python3", "train.py"],
        gpus=1,
        checkpoint_claim="scratch",
        spec={"budget": {"gpuHours": 40}},
    )
    assert study.to_dict() == {
        "apiVersion": "hyperband.dev/v1alpha1",
        "kind": "HyperbandStudy",
        "metadata": {"name": "digits", "namespace": "team", "labels": {"team": "vision"}},
        "spec": {
            "objective": {"metric": "val_loss", "goal": "Minimize"},
            "resource": {"name": "epochs", "min": 1, "max": 27},
            "hyperband": {"mode": "Promotion"},
            "searcher": {"type": "GaussianProcess", "seed": 0},
            "parameters": good_study()["spec"]["parameters"],
            "maxTrials": 200,
            "parallelism": 8,
            "trialTemplate": {
                "spec": {
                    "containers": [
                        {
                            "name": "train",
                            "image": "example.com/train:1",
                            "command": ["python3", "train.py"],
                            "resources": {"limits": {"nvidia.com/gpu": 1}},
                        }
                    ]
                }
            },
            "checkpoint": {"volume": {"persistentVolumeClaim": {"claimName": "scratch"}}},
            "budget": {"gpuHours": 40},
        },
    }


def test_fields_of_the_file_are_added_to_what_arguments_make() -> None:
    study = Study(
        "digits",
        metric="loss",
        goal="Minimize",
        resource=("epochs", 1, 9),
        parameters=[Float("x", 0, 1)],
        max_trials=9,
        searcher="Random",
        seed=7,
        image="example.com/train:1",
        spec={"hyperband": {"sizes": "Paper"}, "searcher": {"type": "GaussianProcess"}},
    )
    assert study.spec["hyperband"] == {"mode": "Promotion", "sizes": "Paper"}
    assert study.spec["searcher"] == {"type": "GaussianProcess", "seed": 7}


@pytest.mark.parametrize("body", [good_study(), large_study()], ids=["good", "large"])
def test_a_study_comes_back_from_its_file(body: dict[str, Any], tmp_path: Path) -> None:
    study = Study.from_dict(body)
    study.save(tmp_path / "study.yaml")
    again = Study.from_file(tmp_path / "study.yaml")
    assert again == study
    assert again.to_dict() == body


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_come_back(path: Path) -> None:
    study = Study.from_file(path)
    assert Study.from_yaml(study.to_yaml()) == study


values = st.one_of(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=12),
    st.sampled_from(["1e3", "off", "y", "null", "0x1", "a\nb", "- a", "#x", "é\u2028", "\x85", ""]),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)


@given(st.lists(values, min_size=2, max_size=6, unique_by=lambda v: (type(v), str(v))), values)
def test_any_values_come_back(listed: list[Any], constant: Any) -> None:
    parameters = [Categorical("kind", listed), Constant("fixed", constant)]
    try:
        study = built(parameters=parameters)
    except StudyProblemsError:
        return  # 1 and 1.0, say: a study cannot have both
    assert Study.from_yaml(study.to_yaml()) == study
    assert yaml.safe_load(study.to_yaml())["metadata"] == {"name": "digits"}


def test_all_that_is_wrong_is_told_with_field_and_mend() -> None:
    with pytest.raises(StudyProblemsError) as caught:
        built(parameters=[Float("rate", 0, 1, log=True)], max_trials=0)
    fields = [each.field for each in caught.value.problems]
    assert sorted(fields) == ["spec.maxTrials", "spec.parameters[0].min"]
    assert "0 has no logarithm: with scale Log give a min above 0" in str(caught.value)
    assert isinstance(caught.value, InvalidStudyError)


def test_a_study_without_an_image_says_what_is_missing() -> None:
    with pytest.raises(StudyProblemsError, match=r"spec\.trialTemplate: is missing"):
        built(image=None)


def test_a_file_without_a_study_is_told(tmp_path: Path) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text("apiVersion: v1\nkind: Pod\n")
    with pytest.raises(InvalidStudyError, match=r"pod.yaml: holds 0 studies: give a file with one"):
        Study.from_file(path)
    with pytest.raises(InvalidStudyError, match="is not YAML"):
        Study.from_yaml("a: [")


def test_what_a_server_has_added_is_left_out() -> None:
    body = changed(good_study(), {"metadata.uid": "u", "metadata.resourceVersion": "7"})
    assert Study.from_dict({**body, "status": {}}) == Study.from_dict(good_study())


def test_changing_what_was_given_out_changes_no_study() -> None:
    study = built()
    study.to_dict()["spec"]["maxTrials"] = 1
    assert study.spec["maxTrials"] == 9


def test_the_reporter_alone_loads_nothing_of_it() -> None:
    code = (
        "import sys, hyperband, hyperband.report; "
        "assert not {m for m in sys.modules if m.startswith('hyperband.python')}; "
        "assert 'yaml' not in sys.modules; assert hyperband.Study; "
        "assert 'hyperband.python' in sys.modules; "
        "assert 'pandas' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_names_are_those_that_are_typed() -> None:
    assert set(hyperband.__all__) <= set(dir(hyperband))
    for name in hyperband.__all__:
        assert getattr(hyperband, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Stduy'"):
        _ = hyperband.Stduy  # type: ignore[attr-defined]
