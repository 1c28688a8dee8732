"""`hyperband validate`: what a person sees, what a script reads, and the exit codes."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from hyperband.cli.main import app
from tests.bad_studies import REFUSED_BY_SERVER, SERVER_CANNOT_KNOW, BadStudy
from tests.studies import good_study

SAMPLES = sorted((Path(__file__).parents[2] / "manifests/samples").glob("*.yaml"))
BAD = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: script}
---
apiVersion: hyperband.dev/v1alpha1
kind: HyperbandStudy
metadata: {name: digits}
spec:
  objective: {metric: loss, goal: minimise}
  resource:
    min: 1
    max: 27
  parameters:
    - {name: rate, type: Float, min: 1, max: 1e-4}
    - name: layers
      type: Integer
      min: 1
  maxTrial: 20
  maxTrials: 36
  maxTrials: 37
  trialTemplate: {spec: {containers: [{name: train, image: train}]}}
"""
TOLD = """\
bad.yaml:9: spec.objective.goal: "minimise" is not known: use one of Minimize, Maximize
bad.yaml:14: spec.parameters[0].min: 1.0 is above max 0.0001: exchange the two
bad.yaml:15: spec.parameters[1].max: is missing: a Uniform Integer needs min and max
bad.yaml:18: spec.maxTrial: there is no such field: did you mean maxTrials?
bad.yaml:20: maxTrials: is there twice: remove one
bad.yaml: digits: 5 problems
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a good study and a bad one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(yaml.safe_dump(good_study()), encoding="utf-8")
    (tmp_path / "bad.yaml").write_text(BAD, encoding="utf-8")
    return tmp_path


def validate(*arguments: str, content: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["validate", *arguments], input=content)


def test_a_good_study_is_valid() -> None:
    result = validate("good.yaml")
    assert (result.exit_code, result.stdout) == (0, "good.yaml: digits: valid\n")


def test_every_sample_is_valid() -> None:
    result = validate(*map(str, SAMPLES))
    assert result.exit_code == 0
    assert result.stdout.count(": valid\n") == len(SAMPLES) > 0


def test_all_that_is_wrong_is_told_with_its_line() -> None:
    result = validate("bad.yaml")
    assert (result.exit_code, result.stdout) == (1, TOLD)


def test_only_the_place_and_the_field_stand_out() -> None:
    terminal = {"FORCE_COLOR": "1", "NO_COLOR": None, "TERM": "xterm"}
    result = CliRunner().invoke(app, ["validate", "bad.yaml"], env=terminal)
    bold, cyan, plain = "\x1b[1m", "\x1b[36m", "\x1b[0m"
    wanted = f"{bold}bad.yaml:18: {plain}{cyan}spec.maxTrial: {plain}there is no such field"
    assert wanted in result.stdout


def test_standard_input_is_read() -> None:
    result = validate("-", content=BAD)
    assert (result.exit_code, result.stdout) == (1, TOLD.replace("bad.yaml", "<stdin>"))


@pytest.mark.parametrize(("kind", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_scripts_read_the_same(kind: str, read: object) -> None:
    assert callable(read)
    result = validate("good.yaml", "bad.yaml", "-o", kind)
    answer = read(result.stdout)
    assert (result.exit_code, answer["valid"]) == (1, False)
    good, bad = answer["studies"]
    assert good == {"file": "good.yaml", "line": 1, "name": "digits", "problems": [], "valid": True}
    assert (bad["file"], bad["line"], bad["valid"]) == ("bad.yaml", 5, False)
    assert bad["problems"][3] == {
        "line": 18,
        "field": "spec.maxTrial",
        "problem": "there is no such field: did you mean maxTrials?",
    }


@pytest.mark.parametrize("bad", REFUSED_BY_SERVER + SERVER_CANNOT_KNOW, ids=lambda bad: bad.title)
def test_every_bad_study_is_refused_at_its_field(bad: BadStudy) -> None:
    result = validate("-", "-o", "json", content=json.dumps(bad.manifest()))
    assert result.exit_code == 1
    (study,) = json.loads(result.stdout)["studies"]
    fields = [problem["field"] for problem in study["problems"]]
    assert any(field.startswith(bad.python_field) for field in fields), fields


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a: b\n c: d\n", "<stdin>:2: is not YAML, mapping values are not allowed here: mend "),
        ("a: 1\n", "<stdin>:1: kind: is missing: write kind: HyperbandStudy"),
        ("[1]", "<stdin>:1: [1] is no object: write a HyperbandStudy"),
        ("x: !!int y", "<stdin>:1: is not YAML, "),
        (" " * 1_500_001, "<stdin>:1: has more than 1500000 bytes: give at most"),
        (
            "apiVersion: hyperband.dev/v1alpha1\nkind: Study\n",
            '<stdin>:2: kind: "Study" is no kind of hyperband.dev: write HyperbandStudy',
        ),
        ("kind: HyperbandStudy", "<stdin>:1: apiVersion: is missing: write hyperband.dev/v1alpha1"),
    ],
    ids=lambda text: text[:20].strip(),
)
def test_what_is_no_study_at_all_is_told_of(content: str, told: str) -> None:
    result = validate("-", content=content)
    assert result.exit_code == 1
    assert told in result.stdout


def test_the_items_of_a_list_are_looked_at() -> None:
    bad = good_study("second")
    del bad["spec"]["maxTrials"]
    items = [good_study("first"), {"apiVersion": "v1", "kind": "Pod"}, bad]
    content = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items})
    line = 1 + content.splitlines().index("  spec:", content[: content.index("second")].count("\n"))
    result = validate("-", content=content)
    assert result.exit_code == 1
    assert "<stdin>: first: valid\n" in result.stdout
    assert f"<stdin>:{line}: spec.maxTrials: is missing" in result.stdout


def test_a_file_that_is_not_there_is_an_error_of_usage() -> None:
    result = validate("missing.yaml", "good.yaml")
    assert result.exit_code == 2
    assert "missing.yaml: No such file or directory: name a file" in result.stderr
    assert result.stdout == "good.yaml: digits: valid\n"


def test_files_without_a_study_are_an_error_of_usage() -> None:
    result = validate("-", content=BAD.partition("---")[0])
    assert result.exit_code == 2
    assert "<stdin>: no HyperbandStudy there: name a file that has one" in result.stderr


def test_a_terminal_is_not_moved_by_what_a_file_holds() -> None:
    study = good_study("a\x1b[2Jb")
    study["spec"]["\x1b[2J"] = 1
    result = validate("-", content=yaml.safe_dump(study))
    assert result.exit_code == 1
    assert "\x1b" not in result.stdout
