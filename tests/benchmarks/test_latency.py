"""What is measured and how it is kept and shown; never how long it takes."""

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks import decisions
from benchmarks.decision_latency import __main__ as command
from benchmarks.decision_latency import own_driver, report, tables
from benchmarks.decision_latency.measurements import (
    DEFAULT,
    LEAST,
    MOBSTER,
    OURS,
    PEER,
    PENDING,
    SIZES,
    Measurement,
    measurements,
)
from benchmarks.decision_latency.samples import Samples, summary
from benchmarks.decision_latency.shares import shares
from benchmarks.decision_latency.tasks import available, task, value
from benchmarks.player import Cost, suggestions
from benchmarks.search_quality import methods
from benchmarks.search_quality.runs import write
from benchmarks.surrogate import VARIABLE
from hyperband.core.schedulers import SCHEDULERS

ANALYTIC = "lcbench-analytic"
MEASUREMENT = Measurement(DEFAULT, ANALYTIC, 24)
CONTENT = {
    "cpu": [0.010, 0.030, 0.020, 0.020],
    "wall": [0.02, 0.04, 0.03, 0.03],
    "fit": [0.0, 0.016, 0.0, 0.0],
    "first": 0.5,
    "values": 40,
    "memory": 150_000_000,
    "memoryBefore": 110_000_000,
}


def job(measurement: Measurement = MEASUREMENT, **changes: Any) -> dict[str, Any]:
    return {**measurement.job(Path("none"), cap=1e9), "suggestions": 8, **changes}


# -- measuring -------------------------------------------------------------------------------


def test_suggestions_are_made_while_the_study_goes_on() -> None:
    player = own_driver.player(job())
    assert player.values == 24
    origins = {trial.suggestion.origin for trial in player.engine.trials.values()}
    assert origins == {"Random"}
    made = [each.decision.trial.suggestion for each in islice(suggestions(player), 8)]
    for each in made:
        assert each.origin == "GaussianProcess"
        assert each.detail["pending"] == PENDING
    values = [each.detail["values"] for each in made]
    assert values == sorted(values)
    assert 24 <= values[0] < values[-1] == player.values


def test_fits_are_part_of_what_suggestions_cost() -> None:
    latency = own_driver.run(job())["latency"]
    assert len(latency["cpu"]) == len(latency["wall"]) == len(latency["fit"]) == 8
    assert 0 < sum(fit > 0 for fit in latency["fit"]) < 8
    assert all(fit < cpu for fit, cpu in zip(latency["fit"], latency["cpu"], strict=True))
    assert latency["memory"] >= latency["memoryBefore"] > 0
    assert latency["values"] > 24


@pytest.mark.parametrize("method", OURS)
def test_every_method_is_measured(method: str) -> None:
    measurement = Measurement(method, ANALYTIC, 30)
    latency = own_driver.run(job(measurement, suggestions=3))["latency"]
    assert len(latency["cpu"]) == 3
    assert any(latency["fit"]) == method.startswith("gp-")


def test_what_takes_long_is_measured_a_few_times() -> None:
    assert len(own_driver.run(job(cap=0.0))["latency"]["cpu"]) == LEAST


def test_a_profile_has_shares_of_all_its_time() -> None:
    profile = own_driver.run(job(kind="profile"))["profile"]
    assert profile["suggestions"] == 8
    for name, work in (("launch", "search"), ("fit", "likelihood")):
        part = profile[name]
        assert sum(part["shares"].values()) == pytest.approx(part["total"])
        assert work in part["shares"]
        assert len(part["functions"]) == 12


def test_foreign_functions_work_for_their_callers() -> None:
    search, solve = ("x/gp/search.py", 1, "run"), ("x/gp/posterior.py", 2, "solve")
    helper, built_in = ("numpy/core.py", 3, "dot"), ("~", 0, "<built-in>")
    stats = {
        search: (1, 1, 1.0, 7.0, {}),
        solve: (1, 1, 2.0, 5.0, {search: (1, 1, 2.0, 5.0)}),
        helper: (2, 2, 1.0, 4.0, {search: (1, 1, 0.25, 1.0), solve: (1, 1, 0.75, 3.0)}),
        built_in: (2, 2, 3.0, 3.0, {helper: (2, 2, 3.0, 3.0), built_in: (1, 1, 1.0, 1.0)}),
    }
    assert shares(stats) == {"solves": pytest.approx(5.0), "search": pytest.approx(2.0)}


def test_memory_that_is_used_counts() -> None:
    # In a process of its own: the other tests have had more at their peak.
    script = """
from benchmarks.decision_latency import memory
before = memory.peak()
held = b"x" * 64_000_000
print(memory.peak() - before)
"""
    command = [sys.executable, "-c", script]
    grown = int(subprocess.run(command, capture_output=True, check=True).stdout)
    assert 60_000_000 < grown < 80_000_000


@pytest.mark.parametrize("space", ["lcbench", "nb301"])
def test_without_data_curves_are_analytic(space: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert available(space) == f"{space}-analytic"
    given = task(f"{space}-analytic")
    assert (
        len(given.parameters) == len(given.space.parameters) == {"lcbench": 7, "nb301": 34}[space]
    )
    curve = given.benchmark.curve(given.space.sample([0.5] * len(given.parameters)), 0)
    reached = value(given, given.space.sample([0.5] * len(given.parameters)), 9)
    assert reached == curve["metrics"]["val_accuracy"][8]


@pytest.mark.parametrize("mode", SCHEDULERS)
def test_decisions_are_measured_under_every_scheduler(mode: str) -> None:
    figures = decisions.measure(mode, size=20, decisions=30)
    assert 0 < figures.median <= figures.high
    assert figures.rebuild > 0


# -- keeping ---------------------------------------------------------------------------------


def keep(folder: Path, measurement: Measurement, content: dict[str, Any] = CONTENT) -> None:
    path = measurement.path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, {**measurement.header, measurement.kind: content})


def test_what_was_measured_is_found(tmp_path: Path) -> None:
    assert MEASUREMENT.load(tmp_path) is None
    keep(tmp_path, MEASUREMENT)
    assert MEASUREMENT.load(tmp_path) == CONTENT
    profile = Measurement(DEFAULT, ANALYTIC, 24, "profile")
    assert profile.load(tmp_path) is None
    assert Measurement(DEFAULT, ANALYTIC, 25).load(tmp_path) is None


@pytest.mark.parametrize("change", [{"version": "0"}, {"pending": 4}, {"suggestions": 1}])
def test_another_header_is_another_measurement(tmp_path: Path, change: dict[str, Any]) -> None:
    keep(tmp_path, MEASUREMENT)
    path = MEASUREMENT.path(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}))
    assert MEASUREMENT.load(tmp_path) is None


def test_measurements_have_files_of_their_own() -> None:
    tasks = {"lcbench": "lcbench", "nb301": "nb301"}
    everything, quick = list(measurements(tasks, False)), list(measurements(tasks, True))
    for chosen in (everything, quick):
        assert len({each.path(Path("x")) for each in chosen}) == len(chosen)
    assert {each.observations for each in everything if each.method == "random"} == set(SIZES)
    assert len(quick) < len(everything) / 2
    # A fit comes whenever the observations have grown by an eighth.
    assert all(each.suggestions >= each.observations // 8 for each in everything)


def test_the_peers_methods_are_those_of_the_other_benchmark() -> None:
    known = {each.name for each in methods.METHODS if each.family == "peer"}
    assert set(PEER) <= known
    assert {Measurement(name, ANALYTIC, 50).family for name in PEER} == {"peer"}


def test_only_what_is_missing_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [Measurement("random", ANALYTIC, size) for size in (20, 30)]
    made: list[Measurement] = []
    monkeypatch.setattr(command, "measurements", lambda tasks, quick: wanted)
    monkeypatch.setattr(command, "make", lambda missing, *_, **__: made.extend(missing))
    monkeypatch.setattr(command, "write_report", lambda *_: [])
    keep(tmp_path, wanted[0])
    app = command.typer.Typer()
    app.command()(command.main)
    answer = CliRunner().invoke(app, ["--results", str(tmp_path)])
    assert answer.exit_code == 0, answer.output
    assert made == wanted[1:]
    assert CliRunner().invoke(app, ["--methods", "magic"]).exit_code == 2


# -- showing ---------------------------------------------------------------------------------


def test_a_summary_is_in_milliseconds_and_megabytes() -> None:
    s = summary(CONTENT)
    assert (s.count, s.fits) == (4, 1)
    assert (s.mean, s.p50, s.worst) == (pytest.approx(20), pytest.approx(20), pytest.approx(30))
    assert (s.fit, s.wall, s.first) == (pytest.approx(4), pytest.approx(30), pytest.approx(500))
    assert (s.memory, s.own) == (150.0, 40.0)


def test_samples_are_enough_after_a_while() -> None:
    samples = Samples()
    for count in (1, 2, 3):
        samples.add(Cost(2.0, 3.0))
        assert samples.enough(least=2, cap=3.0) == (count >= 2)
        assert not samples.enough(least=2, cap=7.0)


def test_figures_are_shown_beside_their_targets() -> None:
    slow = {**CONTENT, "cpu": [2.0, 2.0, 2.0, 2.0]}
    results = {
        Measurement(DEFAULT, ANALYTIC, 100): summary(CONTENT),
        Measurement(DEFAULT, ANALYTIC, 5_000): summary(CONTENT),
        Measurement(MOBSTER, ANALYTIC, 100): summary(slow),
    }
    text = tables.against_targets(results)
    assert "| mean at 100, ms | 20 | 20.0 |" in text
    assert "| memory at 5,000, MB | 500 | 150 |" in text
    assert f"| times as fast as {MOBSTER} at 100 | 50 | 100.0 |" in text
    assert "mean at 500" not in text
    assert tables.means(results).splitlines()[2:] == [
        f"| {DEFAULT} | 20 | 20 |",
        f"| {MOBSTER} | 2,000 |  |",
    ]


def test_a_report_shows_what_is_there(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    wanted = [
        *(Measurement("random", ANALYTIC, size) for size in (50, 100, 200)),
        Measurement(DEFAULT, ANALYTIC, 24, "profile"),
    ]
    keep(tmp_path, wanted[1])
    keep(tmp_path, wanted[0])
    keep(tmp_path, wanted[3], own_driver.run(job(kind="profile"))["profile"])
    first, picture = report.write_report(wanted, tmp_path, tmp_path / "out", "the command")
    text = first.read_text(encoding="utf-8")
    assert "| method | 50 | 100 |" in text
    assert "| random | 20 | 20 |" in text
    assert f"({picture.name})" in text
    assert f"## Profile: {DEFAULT} on {ANALYTIC}, 24 observations" in text
    assert "`the command`" in text
    assert picture.read_text(encoding="utf-8").startswith("<?xml")
