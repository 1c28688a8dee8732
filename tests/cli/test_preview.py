"""`hyperband preview`: the ladder that a person sees, the numbers that a script reads."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from hyperband.cli.main import app
from tests.studies import Manifest, changed

STUDY: Manifest = {
    "apiVersion": "hyperband.dev/v1alpha1",
    "kind": "HyperbandStudy",
    "metadata": {"name": "small"},
    "spec": {
        "objective": {"metric": "loss"},
        "resource": {"min": 1, "max": 9},
        "hyperband": {"mode": "Synchronous", "brackets": 2},
        "parameters": [{"name": "rate", "type": "Float", "min": 0, "max": 1}],
        "maxTrials": 12,
        "parallelism": 3,
        "trialTemplate": {
            "spec": {
                "containers": [
                    {
                        "name": "train",
                        "image": "train",
                        "resources": {"limits": {"nvidia.com/gpu": 2}},
                    }
                ]
            }
        },
    },
}


def preview(body: Manifest, *options: str, before: str = "") -> Result:
    content = before + yaml.safe_dump(body)
    return CliRunner().invoke(app, ["preview", "-", *options], input=content)


def read(body: Manifest, *options: str) -> dict[str, Any]:
    result = preview(body, *options, "-o", "json")
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def lines(result: Result) -> list[list[str]]:
    """The words of each line."""
    return [line.split() for line in result.stdout.splitlines()]


def test_a_synchronous_study_has_the_sizes_of_hyperband() -> None:
    result = preview(STUDY, "--unit-seconds", "1800")
    assert result.exit_code == 0
    told = lines(result)
    assert told[0][:3] == ["small:", "mode", "Synchronous,"]
    assert "2 GPUs each" in " ".join(told[0])
    at = told.index(["bracket", "epochs", "trials", "of", "one", "bracket"])
    assert told[at + 1 : at + 6] == [
        ["2", "1", "9", "9", "█" * 30],
        ["3", "3", "3", "█" * 10],
        ["9", "1", "1", "█" * 3],
        ["1", "3", "3", "3", "█" * 10],
        ["9", "1", "1", "█" * 3],
    ]
    # 9 trials to 1, 3 from there to 3, one from there to 9; then 3 to 3, and one from there.
    units = 9 * 1 + 3 * 2 + 1 * 6 + 3 * 3 + 1 * 6
    wanted = f"epochs trained {units} {units / 108:.0%} of 108, all trials in full".split()
    assert wanted in told
    assert ["GPU-hours", f"{units * 2 * 1800 / 3600:g}"] in told


def test_scripts_read_the_same_numbers() -> None:
    answer = read(STUDY, "--seeds", "4-5", "--unit-seconds", "1800")
    assert (answer["study"], answer["seeds"], answer["gpus"]) == ("small", [4, 5], 2)
    assert [bracket["bracket"] for bracket in answer["brackets"]] == [2, 1]
    first = answer["brackets"][0]["rungs"][0]
    assert first == {"resource": 1, "trials": {"low": 9, "middle": 9, "high": 9}, "size": 9}
    assert answer["expected"]["gpuHours"] == {"low": 36.0, "middle": 36.0, "high": 36.0}
    assert 0 < answer["expected"]["hours"]["low"] <= answer["expected"]["hours"]["high"]


def test_without_early_stopping_all_is_known() -> None:
    answer = read(changed(STUDY, {"spec.hyperband": {"mode": "None"}}))
    assert answer["expected"]["resourceUnits"] == {"low": 108, "middle": 108, "high": 108}
    assert answer["inFull"] == 108
    ((rung,),) = [bracket["rungs"] for bracket in answer["brackets"]]
    assert (rung["resource"], rung["trials"]["middle"]) == (9, 12)


@pytest.mark.parametrize("mode", ["Promotion", "Stopping"])
def test_asynchronous_modes_have_a_range(mode: str) -> None:
    body = changed(STUDY, {"spec.hyperband": {"mode": mode}, "spec.maxTrials": 30})
    answer = read(body)
    assert answer["seeds"] == list(range(21))
    units = answer["expected"]["resourceUnits"]
    assert 30 < units["low"] < units["high"] < answer["inFull"]
    counts = [rung["trials"]["middle"] for rung in answer["brackets"][0]["rungs"]]
    assert counts[0] == 30
    assert counts == sorted(counts, reverse=True)
    assert " to " in preview(body).stdout


def test_promotions_from_scratch_cost_more() -> None:
    body = changed(STUDY, {"spec.hyperband": {"mode": "Synchronous"}, "spec.maxTrials": 9})
    spent = [
        read(changed(body, {"spec.resume": resume}))["expected"]["resourceUnits"]["middle"]
        for resume in (True, False)
    ]
    assert spent == [9 + 3 * 2 + 6, 9 + 3 * 3 + 9]


def test_a_budget_counts_if_it_can_be_judged() -> None:
    body = changed(STUDY, {"spec.budget": {"gpuHours": 4}, "spec.onBudget": "Stop"})
    timed = read(body, "--unit-seconds", "1800")
    assert timed["leftOut"] == []
    assert timed["expected"]["trials"]["high"] < 12
    untimed = read(body)
    assert untimed["expected"]["trials"]["low"] == 12
    mend = "budget.gpuHours: tell with --unit-seconds how long one of epochs takes"
    assert untimed["leftOut"] == [mend]
    assert mend in " ".join(preview(body).stdout.split())
    units = read(changed(body, {"spec.budget": {"resourceUnits": 5}}))
    assert units["expected"]["trials"]["high"] < 12


def test_targets_are_left_out() -> None:
    target = {"metric": "loss", "goal": "Minimize", "value": 100}
    body = changed(STUDY, {"spec.earlyStopping": [target]})
    assert read(body)["expected"]["trials"]["low"] == 12
    assert "Left out: earlyStopping" in preview(body).stdout


def test_other_objects_in_the_file_are_passed_over() -> None:
    result = preview(STUDY, before="kind: ConfigMap\n---\n")
    assert result.exit_code == 0
    assert result.stdout.startswith("small: mode Synchronous")


@pytest.mark.parametrize(
    ("body", "options", "code", "told"),
    [
        (changed(STUDY, {"spec.resource.min": 9}), (), 1, "9 is not below max 9"),
        (changed(STUDY, {"spec.resource.min": 9}), (), 1, "hyperband validate -"),
        ({"kind": "Pod"}, (), 1, "holds 0 studies: give a file with one"),
        (STUDY, ("--unit-seconds", "0"), 2, "--unit-seconds 0: give a number above 0"),
        (STUDY, ("--unit-seconds", "nan"), 2, "--unit-seconds nan: give a number above 0"),
        (STUDY, ("--seeds", "3-1"), 2, "--seeds 3-1: ends before it begins"),
        (STUDY, ("-o", "xml"), 2, "xml"),
    ],
)
def test_what_is_wrong_is_told(
    body: Manifest, options: tuple[str, ...], code: int, told: str
) -> None:
    result = preview(body, *options)
    assert (result.exit_code, result.stdout) == (code, "")
    assert told in result.stderr


def test_a_missing_file_is_told_of(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["preview", str(tmp_path / "no.yaml")])
    assert result.exit_code == 2
    assert "No such file or directory: name the file of a study" in result.stderr
