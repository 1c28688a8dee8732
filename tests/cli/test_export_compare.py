"""`hyperband export` and `hyperband compare`."""

import csv
import io
import json
from pathlib import Path

import pytest

from hyperband.backends.kubernetes.objects import STUDIES, TRIALS
from tests.cli.fake_server import Server, call, serve, world


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> Server:
    return serve(monkeypatch, world())


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_row_a_trial(finished: Server) -> None:
    rows = read(call("export", "s").stdout)
    trials = [finished.objects[TRIALS.plural, f"s-{i}"] for i in range(4)]
    assert [row["trial"] for row in rows] == ["s-0", "s-1", "s-2", "s-3"]
    assert [row["state"] for row in rows] == [t["status"]["state"] for t in trials]
    assert [float(row["parameters.x"]) for row in rows] == [
        t["spec"]["parameters"]["x"] for t in trials
    ]
    assert [float(row["value"]) for row in rows] == [
        t["status"]["rungs"][-1]["value"] for t in trials
    ]
    assert [row["attempts"] for row in rows] == ["1", "2", "1", "2"]
    told = json.loads(call("export", "s", "-o", "json").stdout)
    assert told[1]["parameters"] == trials[1]["spec"]["parameters"]


def test_a_row_a_value_in_the_order_of_their_recording(finished: Server) -> None:
    rows = json.loads(call("export", "s", "--rows", "values", "-o", "json").stdout)
    assert [row["sequence"] for row in rows] == list(range(6))
    assert {(row["trial"], row["resource"]) for row in rows} >= {("s-1", 1.0), ("s-1", 3.0)}
    table = read(call("export", "s", "--rows", "values").stdout)
    assert [row["sequence"] for row in table] == [str(row["sequence"]) for row in rows]


def test_trials_to_which_nothing_has_happened_have_empty_cells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serve(monkeypatch, world(steps=1))
    rows = read(call("export", "s").stdout)
    assert [(row["state"], row["value"], row["attempts"]) for row in rows] == [
        ("Pending", "", "0"),
        ("Pending", "", "0"),
    ]
    assert call("export", "s", "--rows", "values", "-o", "json").stdout == "[]\n"


def test_it_is_written_to_a_file(finished: Server, tmp_path: Path) -> None:
    out = tmp_path / "trials.csv"
    assert call("export", "s", "--out", str(out)).exit_code == 0
    assert out.read_text() == call("export", "s").stdout
    assert call("export", "s", "--out", str(tmp_path / "no" / "file")).exit_code == 2


def add(server: Server, name: str, best: float | None, goal: str = "Minimize") -> None:
    body = json.loads(json.dumps(server.study))
    body["metadata"]["name"] = name
    body["spec"]["objective"]["goal"] = goal
    if best is None:
        del body["status"]["best"]
    else:
        body["status"]["best"]["value"] = best
    server.world.client.add(STUDIES, body)


def test_the_best_study_is_first_and_one_without_a_result_last(finished: Server) -> None:
    add(finished, "better", 0.1)
    add(finished, "none", None)
    told = json.loads(call("compare", "none", "s", "better", "s", "-o", "json").stdout)
    assert [row["name"] for row in told["studies"]] == ["better", "s", "none"]
    text = call("compare", "none", "s", "better").stdout
    assert text.startswith("Minimize loss, the best first\n")
    assert text.splitlines()[1].split() == ["better", "s", "none"]
    assert "3 epochs" in text
    assert "  x " in text


def test_a_large_value_is_the_best_where_it_is_wanted(finished: Server) -> None:
    add(finished, "a", 0.1, "Maximize")
    add(finished, "b", 0.2, "Maximize")
    told = json.loads(call("compare", "a", "b", "-o", "json").stdout)
    assert [row["name"] for row in told["studies"]] == ["b", "a"]


def test_studies_of_different_objectives_keep_their_order(finished: Server) -> None:
    add(finished, "a", 0.1, "Maximize")
    text = call("compare", "s", "a").stdout
    assert "different objectives: s: Minimize loss; a: Maximize loss" in text


@pytest.mark.parametrize("words", [("export", "nosuch"), ("compare", "s", "nosuch")])
def test_a_study_that_is_not_there(words: tuple[str, ...], finished: Server) -> None:
    assert call(*words).exit_code == 1


def test_nothing_to_compare_is_bad_usage(finished: Server) -> None:
    assert call("compare").exit_code == 2
