"""`hyperband convert`: the files that it writes, what it says, what it refuses, exit codes."""

import os
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from hyperband.cli.convert import convert_file
from hyperband.cli.main import app
from hyperband.core.records import Goal, Sizes
from hyperband.core.space import Categorical, Float, Ordinal
from tests.cli.converting import experiment, group, read_back, run

GOLDEN = Path(__file__).with_name("golden-convert")
SOURCES = sorted(GOLDEN.glob("*.in.yaml"))


def convert(*arguments: str, content: str | None = None) -> Result:
    return CliRunner().invoke(app, ["convert", *arguments], input=content)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name.removesuffix(".in.yaml"))
def test_files_are_as_they_were(source: Path) -> None:
    """UPDATE_GOLDEN=1 writes them anew."""
    result = convert(str(source))
    assert result.exit_code == 0, result.stderr
    golden = source.with_name(source.name.replace(".in.", ".out."))
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(result.stdout, encoding="utf-8")
    assert result.stdout == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name.removesuffix(".in.yaml"))
def test_what_is_written_is_valid_and_runs(source: Path, tmp_path: Path) -> None:
    written = tmp_path / "study.yaml"
    result = convert(str(source), "--output", str(written))
    assert result.exit_code == 0, result.stderr
    assert f"{written}: written; see what it takes: hyperband preview" in result.stderr
    judged = CliRunner().invoke(app, ["validate", str(written)])
    assert judged.exit_code == 0, judged.stdout
    simulated = CliRunner().invoke(app, ["simulate", str(written), "--seconds", "50"])
    assert simulated.exit_code == 0, simulated.stderr
    (made,) = convert_file(source.read_bytes(), str(source))
    resource = read_back(made)
    assert run(resource) == resource.study.max_trials


def test_the_page_on_hyperband() -> None:
    """Polyaxon's documentation: 81, 27, 9, 6 and 5 configurations from 1, 3, 9, 27 and 81 steps."""
    file = GOLDEN / "polyaxon-hyperband.in.yaml"
    (made,) = convert_file(file.read_bytes(), file.name)
    study = read_back(made).study
    assert (study.mode, study.eta, study.brackets, study.sizes) == (
        "Synchronous",
        3,
        5,
        Sizes.FLOOR,
    )
    assert (study.resource.name, study.resource.min, study.resource.max) == ("num_steps", 1, 81)
    assert (study.resource.integer, study.resume) == (True, False)
    assert (study.objective.metric, study.objective.goal) == ("loss", Goal.MINIMIZE)
    assert (study.max_trials, study.parallelism) == (81 + 27 + 9 + 6 + 5, 5)
    assert study.targets == ()
    rate, dropout, activation = study.space.parameters
    assert rate == Float("learning_rate", 0, 0.9)
    assert dropout == Ordinal("dropout", (0.25, 0.3))
    assert activation == Categorical("activation", ("relu", "sigmoid"), (0.1, 0.8))
    (note,) = [note for note in made.notes if "pvalues" in note.field]
    assert 'sum to 0.9, not to 1: normalized to "relu" 0.1111, "sigmoid" 0.8889' in note.said


def test_the_page_on_hyperband_with_early_stopping() -> None:
    file = GOLDEN / "polyaxon-early-stopping.in.yaml"
    (made,) = convert_file(file.read_bytes(), file.name)
    targets = read_back(made).study.targets
    assert [(each.metric, each.goal, each.value) for each in targets] == [
        ("accuracy", Goal.MAXIMIZE, 0.9),
        ("loss", Goal.MINIMIZE, 0.05),
    ]


def test_both_at_once_from_a_pipe() -> None:
    both = yaml.safe_dump_all([group(), experiment()])
    result = convert("-", content=both)
    assert result.exit_code == 0, result.stderr
    assert "# Converted by hyperband convert from <stdin> (Polyaxon, kind: group)." in result.stdout
    judged = CliRunner().invoke(app, ["validate", "-"], input=result.stdout)
    assert (judged.exit_code, judged.stdout.count("valid")) == (0, 2)
    assert "<stdin>: small: valid" in judged.stdout


def test_each_note_is_told_with_the_file_and_stands_in_the_study() -> None:
    result = convert(str(GOLDEN / "polyaxon-early-stopping.in.yaml"))
    (line,) = [line for line in result.stderr.splitlines() if "pvalues" in line]
    assert line.startswith(
        f"hyperband convert: {GOLDEN}/polyaxon-early-stopping.in.yaml: hptuning."
    )
    assert line.endswith("change its weight in spec.parameters")
    head = result.stdout.partition("apiVersion")[0].replace("\n#  ", "")
    assert line.partition(".in.yaml: ")[2] in head
    assert max(map(len, head.splitlines())) > 80
    assert all(len(line) <= 98 for line in result.stdout.splitlines())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a: [", "<stdin>:1: is not YAML, "),
        ("", "<stdin>: has nothing in it: name a file with Polyaxon's hptuning or Katib's"),
        ("a: 1\na: 2", "<stdin>:2: a: is there twice: remove one"),
        ("[1]", "<stdin>:1: kind: [1] is no object: give Polyaxon's hptuning or Katib's"),
        ("kind: Job", '<stdin>:1: kind: "Job" is not known: give a polyaxonfile of kind: group'),
        ("kind: HyperbandStudy", "kind: is a HyperbandStudy already: there is nothing to convert"),
        ("kind: operation\nmatrix: {}", "<stdin>:2: matrix: is of Polyaxon 1: write it as"),
        ("kind: group", "<stdin>:1: kind: is of Polyaxon 1"),
        (
            "apiVersion: kubeflow.org/v1alpha3\nkind: Experiment",
            '<stdin>:1: apiVersion: "kubeflow.org/v1alpha3" is another version: write it as',
        ),
        (
            "hptuning:\n  matrix:\n    rate:\n      uniform: [1, 0]",
            "<stdin>:4: hptuning.matrix.rate.uniform: low 1 is not below high 0: exchange",
        ),
    ],
)
def test_what_cannot_be_converted_is_told(content: str, told: str) -> None:
    if "uniform" in content:
        content += "\n  random_search: {n_experiments: 3}"
    result = convert("-", content=content)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("hyperband convert: ")
    assert told in result.stderr


def test_what_a_server_would_refuse_is_told() -> None:
    result = convert(
        "-", content=yaml.safe_dump(group({"a-b": {"values": [1, 2]}, "a.b": {"values": [1]}}))
    )
    assert (result.exit_code, result.stdout) == (1, "")
    assert "spec.parameters[1].name" in result.stderr
    assert "HYPERBAND_PARAM_A_B: rename one of them (so `hyperband validate`" in result.stderr


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    result = convert(str(tmp_path / "none.yaml"))
    assert result.exit_code == 2
    assert "none.yaml: No such file or directory: name a file, or - for" in result.stderr
    source = str(SOURCES[0])
    there = tmp_path / "there.yaml"
    there.write_text("mine", encoding="utf-8")
    result = convert(source, "-o", str(there))
    assert (result.exit_code, there.read_text(encoding="utf-8")) == (2, "mine")
    assert "is there already: name another file, or remove it" in result.stderr
    result = convert(source, "-o", str(tmp_path / "no/study.yaml"))
    assert result.exit_code == 2
    assert "No such file or directory: name a file that can be written" in result.stderr


def test_nothing_is_written_unless_all_can_be(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("kind: Job", encoding="utf-8")
    written = tmp_path / "study.yaml"
    result = convert(str(SOURCES[0]), str(bad), "-o", str(written))
    assert (result.exit_code, written.exists()) == (1, False)
