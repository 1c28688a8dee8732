"""`hyperband simulate`: what it writes, that it repeats itself, and what it says of bad input."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hyperband.cli.main import app

SAMPLES = sorted((Path(__file__).parents[2] / "manifests/samples").glob("*.yaml"))
STUDY = """
apiVersion: hyperband.dev/v1alpha1
kind: HyperbandStudy
metadata: {name: small}
spec:
  objective: {metric: loss}
  resource: {name: epochs, min: 1, max: 9}
  parameters: [{name: rate, type: Float, min: 1e-4, max: 1, scale: Log}]
  maxTrials: 12
  parallelism: 3
  trialTemplate: {spec: {containers: [{name: train, image: train}]}}
"""
BENCHMARK = """
import numpy as np

class Even:
    '''Ten seconds an epoch.'''
    def curve(self, parameters, seed):
        epochs = np.arange(1, 10)
        loss = parameters["rate"] + 1 / epochs
        return {"resource": epochs, "seconds": 10.0 * epochs, "metrics": {"loss": loss}}

def even():
    return Even()

def broken():
    raise OSError("no data")

def none():
    return None

class Fragile:
    def curve(self, parameters, seed):
        return parameters["ratio"]

class Short(Even):
    def curve(self, parameters, seed):
        return {k: v for k, v in super().curve(parameters, seed).items() if k != "seconds"}

class Diverging(Even):
    def curve(self, parameters, seed):
        return super().curve(parameters, seed) | {"metrics": {"loss": [np.nan] * 9}}

class Listed(Even):
    def curve(self, parameters, seed):
        return super().curve(parameters, seed) | {"metrics": [0.1] * 9}

def with_a_size(size):
    return Even()

constant = 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a study and a module of benchmarks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("bench_module", "bad_module", "empty_module"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "small.yaml").write_text(STUDY, encoding="utf-8")
    (tmp_path / "bench_module.py").write_text(BENCHMARK, encoding="utf-8")
    (tmp_path / "bad_module.py").write_text("import no_such_thing\n", encoding="utf-8")
    (tmp_path / "empty_module.py").write_text("", encoding="utf-8")
    return tmp_path


def simulate(*words: str) -> Result:
    return CliRunner().invoke(app, ["simulate", *words])


def results(folder: Path, *words: str) -> dict[str, Any]:
    done = simulate("small.yaml", "--out", "result.json", *words)
    assert done.exit_code == 0, done.output
    content: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return content


def test_the_contract_of_the_result(folder: Path) -> None:
    content = results(folder, "--benchmark", "bench_module:even", "--seeds", "4-5", "--jobs", "1")
    assert content["objective"] == {"metric": "loss", "goal": "Minimize"}
    assert [(run["seed"], run["workers"]) for run in content["runs"]] == [(4, 3), (5, 3)]
    for run in content["runs"]:
        assert run["trials"] == 12
        assert run["noResult"] is None
        assert run["finish"] == "Exhausted"
        seconds, values = zip(*run["incumbent"], strict=True)
        assert list(seconds) == sorted(seconds)
        assert list(values) == sorted(values, reverse=True)
        assert seconds[0] == 10.0
        assert run["resourceUnits"] == pytest.approx(run["utilization"] * run["seconds"] * 3 / 10)
        assert 0 < run["stoppedUnits"] < run["resourceUnits"]
        assert run["suggestions"]["count"] == 12 < run["decisions"]["count"]
        for costs in (run["decisions"], run["suggestions"]):
            assert 0 < costs["p50"] <= costs["p99"] <= costs["seconds"]


def test_a_run_without_a_result_says_why(folder: Path) -> None:
    words = ("small.yaml", "--benchmark", "bench_module:Diverging", "--seeds", "4-5", "--jobs", "1")
    done = simulate(*words)
    assert done.exit_code == 0, done.output
    why = "none of 12 trials has a result: loss was nan at epochs 1; not repeated\n"
    assert done.output.endswith(f"seed 4: {why}seed 5: {why}")
    short = results(folder, "--benchmark", "bench_module:even", "--seconds", "5")["runs"]
    assert short[0]["noResult"] == "attempt 0 runs up to epochs 1 (Random)"


def test_options_override_the_study(folder: Path) -> None:
    (run,) = results(
        folder, "--benchmark", "bench_module:even", "--workers", "2", "--seconds", "15"
    )["runs"]
    assert (run["workers"], run["seconds"], run["seed"], run["finish"]) == (2, 15.0, 0, None)
    assert run["resourceUnits"] == 2
    assert run["utilization"] == 1.0


def test_processes_side_by_side_change_nothing(folder: Path) -> None:
    options = ("--benchmark", "bench_module:even", "--seeds", "0-2")
    one, two = (results(folder, *options, "--jobs", jobs)["runs"] for jobs in "12")
    costs = ("decisions", "suggestions")
    for a, b in zip(one, two, strict=True):
        assert {k: a[k] for k in a if k not in costs} == {k: b[k] for k in b if k not in costs}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_samples_need_no_benchmark(sample: Path) -> None:
    done = simulate(str(sample), "--jobs", "1")
    assert done.exit_code == 0, done.output
    assert "Exhausted" in done.output


def test_a_seed_of_the_study_is_kept(folder: Path) -> None:
    seeded = STUDY.replace("  maxTrials", "  searcher: {seed: 7}\n  maxTrials")
    (folder / "small.yaml").write_text(seeded, encoding="utf-8")
    assert [run["seed"] for run in results(folder)["runs"]] == [7]


def test_a_warm_start_is_said_to_be_left_out(folder: Path) -> None:
    warm = STUDY.replace("  maxTrials", "  warmStart: {fromStudies: [old]}\n  maxTrials")
    (folder / "small.yaml").write_text(warm, encoding="utf-8")
    done = simulate("small.yaml")
    assert done.exit_code == 0, done.output
    assert "warmStart.fromStudies: old: its trials are in a cluster" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.yaml"], "none.yaml: No such file or directory: name the file"),
        (["bench_module.py"], "bench_module.py:4: is not YAML, "),
        (["small.yaml", "--seeds", "a-b"], "--seeds a-b: give one seed such as 3, or a range"),
        (["small.yaml", "--seeds", "5-2"], "--seeds 5-2: ends before it begins"),
        (["small.yaml", "--seconds", "0"], "--seconds 0: give a number above 0"),
        (["small.yaml", "--out", "no/where.json"], "there is no folder no: create it"),
        (["small.yaml", "--out", "."], "is a folder: name a file"),
        (["small.yaml", "--benchmark", "even"], "even: is not of the form package.module:factory"),
        (["small.yaml", "--benchmark", "nowhere:even"], "there is no module nowhere on the import"),
        (["small.yaml", "--benchmark", "bad.py:x"], "bad.py is a file: name its module, as"),
        (["small.yaml", "--benchmark", "./a/bad.py:x"], "as an import does: a.bad:x"),
        (["small.yaml", "--benchmark", "bad_module:x"], "failed: No module named 'no_such_thing'"),
        (
            ["small.yaml", "--benchmark", "bench_module:odd"],
            "--benchmark bench_module:odd: module bench_module has no odd: name its factory; "
            "it has Diverging, Even, Fragile, Listed, Short, broken, even, none\n",
        ),
        (["small.yaml", "--benchmark", "empty_module:odd"], "no function that needs no arguments"),
        (["small.yaml", "--benchmark", "bench_module:constant"], "constant is int, not a function"),
        (["small.yaml", "--benchmark", "bench_module:broken"], "broken() failed: OSError: no data"),
        (["small.yaml", "--benchmark", "bench_module:none"], "NoneType, which has no method curve"),
        (["small.yaml", "--benchmark", "bench_module:Fragile"], "failed: KeyError: 'ratio'"),
        (
            ["small.yaml", "--benchmark", "bench_module:Listed"],
            '--benchmark bench_module:Listed: curve({"rate": ',
        ),
        (["small.yaml", "--benchmark", "bench_module:Listed"], "}, 0): metrics is [0.1, 0.1, "),
        (["small.yaml", "--benchmark", "bench_module:Short"], "keys resource, seconds, metrics"),
    ],
)
def test_messages_of_bad_input(folder: Path, words: list[str], message: str) -> None:
    done = simulate(*words, "--jobs", "1")
    assert done.exit_code == 1
    assert done.output.startswith("hyperband simulate: ")
    assert message in done.output
    assert "Traceback" not in done.output


def test_a_bad_field_is_named(folder: Path) -> None:
    bad = STUDY.replace("max: 9", "max: 1")
    (folder / "small.yaml").write_text(bad, encoding="utf-8")
    done = simulate("small.yaml")
    assert re.search(r"spec\.resource\.min: 1 is not below max 1", done.output)
