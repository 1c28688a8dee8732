"""`hyperband export` with the real libraries: pyarrow reads its Parquet, MLflow holds its runs."""

import io
import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from hyperband.backends.kubernetes.objects import TRIALS
from tests.cli.fake_server import Server, call, serve, world


def library(name: str) -> Any:
    """The module; `make test-integrations` has it, other environments may lack it."""
    return import_module(name) if "INTEGRATIONS" in os.environ else pytest.importorskip(name)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return serve(monkeypatch, world())


def test_pyarrow_reads_what_was_exported(server: Server, tmp_path: Path) -> None:
    parquet = library("pyarrow.parquet")
    for rows in ("trials", "values"):
        out = tmp_path / f"{rows}.parquet"
        answer = call("export", "s", "--rows", rows, "-o", "parquet", "--out", str(out))
        assert answer.exit_code == 0, answer.stderr
        table = parquet.read_table(io.BytesIO(out.read_bytes()))
        listed = json.loads(call("export", "s", "--rows", rows, "-o", "json").stdout)
        flat = [
            {k: v for k, v in row.items() if k != "parameters"}
            | {f"parameters.{k}": v for k, v in row["parameters"].items()}
            for row in listed
        ]
        assert table.to_pylist() == flat
        assert str(table.schema.field("parameters.x").type) == "double"
        assert table.schema.metadata[b"hyperband.metric"] == b"loss"


def test_mlflow_holds_a_run_for_each_trial_once(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = library("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # the store that needs no database
    uri = (tmp_path / "runs").as_uri()
    for _ in range(2):  # the second time there is nothing to do
        answer = call("export", "s", "-o", "mlflow", "--to", uri)
        assert answer.exit_code == 0, answer.stderr
    assert "0 runs new, 0 changed, 5 as they were" in answer.stderr
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("s")
    found = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert sorted(found) == ["s", "s-0", "s-1", "s-2", "s-3"]
    trial: Any = server.objects[TRIALS.plural, "s-1"]
    run = found["s-1"]
    assert run.data.tags["mlflow.parentRunId"] == found["s"].info.run_id
    assert run.info.status == "FINISHED"
    assert json.loads(run.data.params["x"]) == trial["spec"]["parameters"]["x"]
    history = client.get_metric_history(run.info.run_id, "loss.rung")
    assert [(each.step, each.value) for each in history] == [
        (rung["resource"], rung["value"]) for rung in trial["status"]["rungs"]
    ]


def test_a_server_that_is_away_is_told_of(server: Server) -> None:
    library("mlflow")
    answer = call("export", "s", "-o", "mlflow", "--to", "http://127.0.0.1:9")
    assert answer.exit_code == 1
    assert "name a tracking server, such as --to http://localhost:5000" in answer.stderr
