"""All problems of a study: the same verdict as the operator's, and none that hides another."""

import pytest

from hyperband.api.study import parse_study
from hyperband.api.study_problems import study_problems
from hyperband.core.errors import InvalidStudyError
from tests.bad_studies import REFUSED_BY_SERVER, SERVER_CANNOT_KNOW, BadStudy
from tests.studies import REMOVED, changed, good_study, large_study


@pytest.mark.parametrize("bad", REFUSED_BY_SERVER + SERVER_CANNOT_KNOW, ids=lambda bad: bad.title)
def test_the_first_problem_is_the_operators(bad: BadStudy) -> None:
    with pytest.raises(InvalidStudyError) as refused:
        parse_study(bad.manifest())
    found = study_problems(bad.manifest())
    assert str(refused.value) in [str(problem) for problem in found]


@pytest.mark.parametrize("good", [good_study(), large_study()], ids=["good", "large"])
def test_a_good_study_has_none(good: dict[str, object]) -> None:
    assert study_problems(good) == []


def test_each_of_many_is_told_of() -> None:
    bad = changed(
        good_study(),
        {
            "metadata.name": "Digits",
            "metadata.labels": {"team": 3},
            "spec.objective": {"metric": "epochs", "goal": "minimise"},
            "spec.hyperband.eta": 1,
            "spec.maxTrial": 3,
            "spec.resource.min": 81,
            "spec.resource.max": REMOVED,
            "spec.parameters.0.min": 1,
            "spec.parameters.1.type": "int",
            "spec.parameters.2.min": 1,
            "spec.parameters.2.max": 2,
            "spec.parameters.4.when": {"layers": [9]},
            "spec.parameters.5.mean": REMOVED,
            "spec.parameters.5.deviation": REMOVED,
            "spec.parameters.6.name": "rate",
            "spec.earlyStopping": [{"metric": "accuracy", "value": "high"}],
            "spec.budget": {"duration": "0s"},
            "spec.trialTemplate.spec.restartPolicy": "Always",
            "spec.checkpoint.volume": {"emptyDir": {}, "hostPath": {}},
            "specs": {},
        },
    )
    fields = [problem.field for problem in study_problems(bad)]
    p = "spec.parameters"
    assert sorted(fields) == sorted(
        [
            "metadata.name",
            "metadata.labels.team",
            "spec.objective.goal",
            "spec.objective.metric",
            "spec.hyperband.eta",
            "spec.maxTrial",
            "spec.resource.max",
            f"{p}[0].min",
            f"{p}[1].type",
            f"{p}[2].min",
            f"{p}[2].max",
            f"{p}[5].mean",
            f"{p}[5].deviation",
            f"{p}[6].name",
            "spec.earlyStopping[0].goal",
            "spec.earlyStopping[0].value",
            "spec.budget.duration",
            "spec.trialTemplate.spec.restartPolicy",
            "spec.checkpoint.volume",
            "spec.checkpoint.volume.emptyDir",
            "specs",
        ]
    )


def test_labels_and_annotations_may_be_as_kubernetes_has_them() -> None:
    labels = {"app.kubernetes.io/name": "a_b.C-1", "empty": "", "x": "9"}
    marks = {"example.com/note": "any text: at all"}
    given = {"metadata.labels": labels, "metadata.annotations": marks}
    assert study_problems(changed(good_study(), given)) == []


def test_initial_points_are_judged_value_by_value() -> None:
    points = [{"rate": 1, "layers": 2.5}, {"depth": 1, "batch": [32]}]
    found = study_problems(changed(good_study(), {"spec.initialParameters": points}))
    start = "spec.initialParameters"
    wanted = [f"{start}[0].rate", f"{start}[0].layers", f"{start}[1].depth", f"{start}[1].batch"]
    assert [problem.field for problem in found] == wanted


def test_conditions_on_several_parents_are_each_judged() -> None:
    when = {"depth": [1], "momentum": [0.9], "layers": [9, 10], "batch": []}
    found = study_problems(changed(good_study(), {"spec.parameters.4.when": when}))
    at = "spec.parameters[4].when"
    assert [problem.field for problem in found] == [f"{at}.batch"]  # the schema wants one value
    when.pop("batch")
    found = study_problems(changed(good_study(), {"spec.parameters.4.when": when}))
    assert [problem.field for problem in found] == [
        f"{at}.depth",
        f"{at}.momentum",
        f"{at}.layers",
        f"{at}.layers",
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"spec": []}, "spec"),
        ({"spec": REMOVED}, "spec.objective"),
        ({"metadata": "digits"}, "metadata"),
        ({"metadata": REMOVED}, "metadata.name"),
        ({"metadata.namespace": "hyperband-system"}, "metadata.namespace"),
        ({"apiVersion": REMOVED}, "apiVersion"),
        ({"apiVersion": "hyperband.dev/v1"}, "apiVersion"),
        ({"metadata.namespace": "My Team"}, "metadata.namespace"),
        ({"metadata.labels": {"team": "a team"}}, "metadata.labels.team"),
        ({"metadata.labels": {"a team": "b"}}, "metadata.labels.a team"),
        ({"metadata.annotations": {"A.example/b": "c d"}}, "metadata.annotations.A.example/b"),
        ({"spec.parameters": None}, "spec.parameters"),
        ({"spec.parameters": ["rate"]}, "spec.parameters[0]"),
        ({"spec.trialTemplate": 3}, "spec.trialTemplate"),
    ],
)
def test_what_is_of_another_shape_is_told_of(changes: dict[str, object], field: str) -> None:
    assert field in [problem.field for problem in study_problems(changed(good_study(), changes))]
