"""`hyperband export -o mlflow`, with a client in memory; the real one: tests/integrations."""

import copy
import json
import sys
from typing import Any

import pytest

from hyperband.backends.kubernetes.objects import TRIALS
from hyperband.cli.exporting.runs import MAX_PARAMETER, MAX_TAG
from tests.cli.fake_mlflow import Store, install
from tests.cli.fake_server import Server, call, serve, world

TO = ("-o", "mlflow", "--to", "http://tracking:5000")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return serve(monkeypatch, world())


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    return install(monkeypatch)


def export(*more: str) -> str:
    answer = call("export", "s", *TO, *more)
    assert answer.exit_code == 0, answer.stderr
    return answer.stderr


def named(store: Store, name: str) -> Any:
    (found,) = (run for run in store.runs.values() if run.info.run_name == name)
    return found


def state(store: Store) -> Any:
    runs = {key: (vars(run.info), vars(run.data)) for key, run in store.runs.items()}
    return copy.deepcopy((runs, dict(store.history)))


def test_a_study_is_a_run_and_each_trial_a_run_within(server: Server, store: Store) -> None:
    said = export()
    parent, child = named(store, "s"), named(store, "s-1")
    assert f"experiment s, run {parent.info.run_id}: 5 runs new, 0 changed, 0 as they were" in said
    trial = server.objects[TRIALS.plural, "s-1"]
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.data.params == {"x": json.dumps(trial["spec"]["parameters"]["x"])}
    assert (child.data.tags["hyperband.state"], child.info.status) == ("Completed", "FINISHED")
    assert child.data.tags["hyperband.reason"] == trial["status"]["reason"]
    assert child.data.tags["hyperband.bracket"] == str(trial["spec"]["bracket"])
    points = [(m.key, m.step, m.value) for m in store.history[child.info.run_id]]
    rungs = [("loss.rung", int(r["resource"]), r["value"]) for r in trial["status"]["rungs"]]
    curve = [("loss", int(c["resource"]), c["value"]) for c in trial["status"]["curve"]]
    assert curve
    assert points == curve + rungs
    assert parent.data.params["mode"] == "Promotion"
    assert parent.info.status == "FINISHED"
    best = server.study["status"]["best"]
    assert parent.data.tags["hyperband.best_trial"] == best["trial"]
    assert parent.data.metrics["best_loss"] == best["value"]


def test_repeated_it_changes_nothing(server: Server, store: Store) -> None:
    export()
    before, writes = state(store), store.writes
    assert "0 runs new, 0 changed, 5 as they were" in export()
    assert (state(store), store.writes) == (before, writes)


def test_what_came_since_is_added(
    monkeypatch: pytest.MonkeyPatch, server: Server, store: Store
) -> None:
    export()
    complete = state(store)
    store.__init__()  # type: ignore[misc]
    trial = server.objects[TRIALS.plural, "s-1"]
    whole = copy.deepcopy(trial)
    trial["status"]["rungs"] = trial["status"]["rungs"][:1]
    trial["status"]["curve"] = trial["status"]["curve"][:1]
    trial["status"]["state"] = "Running"
    export()
    assert named(store, "s-1").info.status == "RUNNING"
    server.objects[TRIALS.plural, "s-1"] = whole
    export()
    child = named(store, "s-1").info.run_id
    assert sorted(state(store)[1][child]) == sorted(complete[1][child])
    assert named(store, "s-1").info.status == "FINISHED"


@pytest.mark.parametrize("write", range(1, 18))
def test_what_was_interrupted_is_completed(server: Server, store: Store, write: int) -> None:
    server.objects[TRIALS.plural, "s-0"]["status"]["curve"] = [
        {"resource": float(i), "value": float(i)} for i in range(1, 900)
    ]
    export("--to", "memory:")  # one request after the other
    complete = state(store)
    store.__init__()  # type: ignore[misc]
    store.fails_at = write
    answer = call("export", "s", *TO, "--to", "memory:")
    assert answer.exit_code == 1
    assert "hyperband export: memory:: the server is away: name a tracking server" in answer.stderr
    export("--to", "memory:")
    assert state(store) == complete


def test_long_and_strange_texts_are_cut_and_mended(server: Server, store: Store) -> None:
    trial = server.objects[TRIALS.plural, "s-1"]
    trial["status"]["message"] = "m" * 9000
    trial["spec"]["parameters"] = {f"p{i}": i for i in range(250)} | {"a?b": "v" * 9000, "no": True}
    trial["status"]["curve"].append({"resource": 2.0})  # a value that was no number
    export()
    data = named(store, "s-1").data
    assert len(data.params) == 252
    assert data.params["a_b"] == "v" * MAX_PARAMETER
    assert data.params["no"] == "true"
    assert len(data.tags["hyperband.message"]) == MAX_TAG


def test_it_says_what_is_missing(
    server: Server, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for words, said in (
        (("-o", "mlflow"), "--to is missing: name the tracking server"),
        ((*TO, "--out", "f"), "--out f: mlflow has no file: leave it out"),
        (("--to", "http://x"), "--to http://x: only -o mlflow has it: leave it out"),
        (("-o", "parquet"), "-o parquet is no text: name a file with --out"),
    ):
        answer = call("export", "s", *words)
        assert (answer.exit_code, said in answer.stderr) == (2, True), answer.stderr
    monkeypatch.setitem(sys.modules, "mlflow", None)
    answer = call("export", "s", *TO)
    assert answer.exit_code == 1
    assert "MLflow is not installed: pip install '.[mlflow]'" in answer.stderr
