"""Runs that are there are kept, all others made; both drivers are asked the same."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.search_quality import methods, own_driver, runs
from benchmarks.search_quality.drivers import Driver
from benchmarks.search_quality.methods import METHODS, Ours, method
from benchmarks.search_quality.runs import Run, write
from hyperband.core.schedulers import SCHEDULERS
from tests.benchmarks import fakes

PACKAGE = "benchmarks.search_quality"
RUN = Run(method("asha-stopping"), "fake", workers=2, seed=3)


@pytest.fixture(autouse=True)
def fake_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (runs, own_driver):
        monkeypatch.setattr(module, "problem", fakes.problem)


def made(folder: Path) -> dict[str, Any]:
    job = RUN.job(folder, cap=60.0)
    RUN.path(folder).parent.mkdir(parents=True, exist_ok=True)
    write(RUN.path(folder), {**job["header"], **own_driver.run(job)})
    content = RUN.load(folder)
    assert content is not None
    return content


def test_a_run_that_was_made_is_found(tmp_path: Path) -> None:
    assert RUN.load(tmp_path) is None
    content = made(tmp_path)
    assert content["budget"] == 40.0
    assert (content["run"]["workers"], content["run"]["seed"]) == (2, 3)
    assert content["run"]["seconds"] == 40.0
    assert content["run"]["trials"] > 2
    assert not list(tmp_path.rglob("*.part"))


def test_a_half_written_file_is_made_again(tmp_path: Path) -> None:
    made(tmp_path)
    path = RUN.path(tmp_path)
    path.write_text(path.read_text(encoding="utf-8")[:50], encoding="utf-8")
    assert RUN.load(tmp_path) is None
    path.write_text("[]", encoding="utf-8")
    assert RUN.load(tmp_path) is None
    path.write_text(json.dumps(RUN.header), encoding="utf-8")
    assert RUN.load(tmp_path) is None
    made(tmp_path)


def test_another_version_or_budget_is_another_run(tmp_path: Path) -> None:
    content = made(tmp_path)
    for change in ({"version": "0"}, {"budget": 1.0}):
        write(RUN.path(tmp_path), {**content, **change})
        assert RUN.load(tmp_path) is None


def test_a_driver_says_what_went_wrong(tmp_path: Path) -> None:
    """A process of its own, which knows no fake problems."""
    driver = Driver(f"{PACKAGE}.own_driver", Path(sys.executable), tmp_path / "log")
    try:
        for _ in range(2):  # and goes on
            error = driver.run(RUN.job(tmp_path, cap=60.0))
            assert error is not None
            assert "there is no task fake: use one of lcbench/7593" in error
    finally:
        driver.close()


def test_a_driver_that_cannot_start_says_where_it_complained(tmp_path: Path) -> None:
    log = tmp_path / "log"
    error = Driver(f"{PACKAGE}.peer_driver", Path(sys.executable), log).run(
        RUN.job(tmp_path, cap=60.0)
    )
    assert error == f"its process ended with exit code 1: see {log}"
    assert "No module named 'syne_tune'" in log.read_text(encoding="utf-8")


def test_methods_have_names_of_their_own_and_known_parts() -> None:
    names = [each.name for each in METHODS]
    assert len(set(names)) == len(names)
    assert {"random", "asha-stopping", "peer-asha-stopping"} <= set(names)
    assert set(names) > methods.SLOW
    for each in METHODS:
        assert each.name.startswith("peer-") == (each.family == "peer")
        if isinstance(each, Ours) and each.mode in SCHEDULERS and each.searcher == "Random":
            assert each.missing is None


def test_every_bracket_is_as_many_as_rungs(tmp_path: Path) -> None:
    job = RUN.job(tmp_path, cap=60.0)
    assert own_driver.study(job).brackets == 1
    assert own_driver.study({**job, "method": "asha-stopping-all"}).brackets == 3


def test_the_peers_driver_knows_the_peers_methods() -> None:
    """It is not imported here: the peer has an environment of its own."""
    text = (Path(own_driver.__file__).parent / "peer_driver.py").read_text(encoding="utf-8")
    known = set(re.findall(r'^        "([a-z-]+)": lambda', text, re.MULTILINE))
    assert known == {m.name.removeprefix("peer-") for m in METHODS if m.family == "peer"}
