"""`hyperband init`: the study that it writes, what it asks, and what it says of bad options."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from hyperband.api.files import parse_manifest
from hyperband.api.study import parse_study
from hyperband.cli import init as init_module
from hyperband.cli.main import app
from hyperband.core.space import Categorical, Constant, Float, Integer, Ordinal, Scale
from tests.cli.init_options import OPTIONS


def init(*arguments: str, answers: str | None = None) -> Result:
    return CliRunner().invoke(app, ["init", *arguments], input=answers)


def test_options_become_a_study() -> None:
    result = init("digits", *OPTIONS)
    assert result.exit_code == 0, result.stderr
    resource = parse_study(parse_manifest(result.stdout.encode(), "study.yaml"))
    study = resource.study
    assert (study.name, study.objective.metric, study.mode) == ("digits", "val loss", "Stopping")
    assert (study.resource.min, study.resource.max, resource.gpus) == (1, 27, 1)
    rate, layers, dropout, activation, batch, momentum, decay, amp = study.space.parameters
    assert rate == Float("learning_rate", 1e-5, 0.1, Scale.LOG)
    assert layers == Integer("layers", 1, 4)
    assert isinstance(dropout, Float)
    assert dropout.step == 0.1
    assert activation == Categorical("activation", ("relu", "no", "n", "1:30"))
    assert batch == Ordinal("batch", (16, 32, 64))
    assert isinstance(momentum, Float)
    assert isinstance(decay, Float)
    assert (momentum.mean, decay.distribution) == (0.9, "LogNormal")
    assert amp == Constant("amp", True)
    container = resource.template.spec["containers"][0]
    assert container["command"] == [
        *("python3", "train.py", "--note", "a: b # c"),
        "--rate=$(HYPERBAND_PARAM_LEARNING_RATE)",
    ]


def test_other_readers_of_yaml_read_the_same() -> None:
    """PyYAML's booleans and times of day are those of older YAML."""
    content = init("digits", *OPTIONS).stdout
    values = yaml.safe_load(content)["spec"]["parameters"][3]["values"]
    assert values == ["relu", "no", "n", "1:30"]
    assert 'values: [relu, "no", "n", "1:30"]' in content


def test_a_person_is_told_what_it_means() -> None:
    told = init("digits", *OPTIONS).stdout
    assert "hyperband preview study.yaml" in told
    assert "# rungs at 1, 3, 9 and 27 epochs" in told
    assert "HYPERBAND_PARAM_LEARNING_RATE; hyperband.report.parameters() reads them" in told
    assert 'report(**{"epochs": 1, "val loss": 0.21})' in told
    assert "  # checkpoint: {volume: {persistentVolumeClaim:" in told


def test_with_a_claim_trials_pause_and_resume() -> None:
    result = init("digits", *OPTIONS, "--claim", "scratch", "--gpus", "0")
    resource = parse_study(parse_manifest(result.stdout.encode(), "study.yaml"))
    assert (resource.study.mode, resource.gpus) == ("Promotion", 0)
    assert resource.checkpoint is not None
    assert resource.checkpoint.volume == {"persistentVolumeClaim": {"claimName": "scratch"}}


def test_without_a_terminal_all_that_is_missing_is_told() -> None:
    result = init()
    assert (result.exit_code, result.stdout) == (2, "")
    options = ["NAME", "--image", "--command", "--metric", "--goal", "--max", "--parameter"]
    told = result.stderr.splitlines()
    assert [line.split()[2] for line in told] == options
    assert told[0] == "hyperband init: NAME is missing: give it, such as digits"
    assert told[-2] == "hyperband init: --max is missing: give it, such as --max 27"


def test_on_a_terminal_it_asks_again_until_it_understands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(init_module, "on_a_terminal", lambda: True)
    answers = ["small", "img:1", "sh train.sh", "acc", "most", "maximize", "all", "9"]
    answers += ["rate=flat(1, 2)", "rate=float(0, 1)", "layers=int(1, 2)", ""]
    file = tmp_path / "study.yaml"
    result = init("--file", str(file), answers="\n".join(answers) + "\n")
    assert result.exit_code == 0, result.stderr
    study = parse_study(parse_manifest(file.read_bytes(), "study.yaml")).study
    assert (study.name, study.objective.goal, study.resource.max) == ("small", "Maximize", 9)
    assert [parameter.name for parameter in study.space.parameters] == ["rate", "layers"]
    assert "most: write something such as Minimize" in result.stderr
    assert "all: write something such as 27" in result.stderr
    assert "flat is not known: write float(1e-5, 0.1, log)" in result.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--parameter", "x"), "--parameter x is not of the form NAME=KIND(…): write float("),
        (("--parameter", "x=int(1)"), "--parameter x=int(1): has 1 bounds: give min and max"),
        (("--parameter", "x=int(a,2)"), "--parameter x=int(a,2): a is not a number: give one"),
        (("--parameter", "x=normal(1)"), "has 1 numbers: give mean and deviation: normal("),
        (("--parameter", "x=choice()"), "lists nothing: give its values, with commas between"),
        (("--parameter", "x=constant(1,2)"), "has 2 values: give one"),
        (("--parameter", "x=int(2,1)"), "spec.parameters[8].min: 2 is above max 1: exchange the"),
        (("--mode", "ASHA"), 'spec.hyperband.mode: "ASHA" is not known: use one of Promotion'),
        (("--min", "27"), "spec.resource.min: 27 is not below max 27: lower min, or raise max"),
        (("--metric", "epochs"), "epochs is the name of the resource too"),
    ],
)
def test_what_cannot_be_is_told(options: tuple[str, ...], told: str) -> None:
    result = init("digits", *OPTIONS, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr


def test_no_file_is_written_over(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    assert init("digits", *OPTIONS, "--file", str(file)).exit_code == 0
    assert parse_study(parse_manifest(file.read_bytes(), "study.yaml")).name == "digits"
    again = init("other", *OPTIONS, "--file", str(file))
    assert again.exit_code == 2
    assert "is there already: name another file, or remove it" in again.stderr
    missing = init("digits", *OPTIONS, "--file", str(tmp_path / "no/study.yaml"))
    assert missing.exit_code == 2
    assert "No such file or directory: name a file that can be written" in missing.stderr
