"""The shell example, with and without an API server."""

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import self_signed
from tests.report.fake_server import Answer, serve

SCRIPT = Path(__file__).parents[2] / "examples/shell/train.sh"


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of 64 pixels and a label; which pixels are bright tells the label."""
    path = tmp_path_factory.mktemp("data") / "digits.csv"
    rows = [
        [16 if column % 10 == row // 5 % 10 else row * column % 9 for column in range(64)]
        for row in range(150)
    ]
    lines = [",".join(map(str, [*row, i // 5 % 10])) for i, row in enumerate(rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def start(digits: Path, folder: Path, **variables: str) -> subprocess.Popen[str]:
    """An attempt that trains up to epoch 2."""
    environment: Mapping[str, str] = {
        "PATH": os.environ["PATH"],
        "DIGITS": str(digits),
        "HYPERBAND_PARAM_LEARNING_RATE": "0.05",
        "HYPERBAND_PARAM_BATCH": "4",
        "HYPERBAND_RESOURCE_TO": "2",
        "HYPERBAND_CHECKPOINT_DIR": str(folder / "checkpoints"),
        **variables,
    }
    return subprocess.Popen(
        ["sh", str(SCRIPT)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(digits: Path, folder: Path, **variables: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of an attempt."""
    process = start(digits, folder, **variables)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def last_reports(out: str) -> Any:
    """The list that the last line of a run without a pod shows."""
    return json.loads(out.splitlines()[-1].removeprefix("report: "))


def test_a_resumed_run_equals_one_that_was_not_interrupted(digits: Path, tmp_path: Path) -> None:
    status, out, _ = run(digits, tmp_path / "whole")
    assert status == 0
    whole = last_reports(out)
    assert [each["epochs"] for each in whole] == [1, 2] and whole[1]["accuracy"] > 0.5
    run(digits, tmp_path / "parts", HYPERBAND_RESOURCE_TO="1")
    status, out, _ = run(digits, tmp_path / "parts", HYPERBAND_ATTEMPT="1")
    assert status == 0 and out.startswith("resumed from epoch 1 (")
    assert last_reports(out) == whole[1:]
    status, out, _ = run(digits, tmp_path / "parts", HYPERBAND_ATTEMPT="2")
    assert status == 0 and last_reports(out) == whole[1:]
    (left,) = (tmp_path / "parts/checkpoints").iterdir()
    assert left.name == "2-2.ckpt"


def test_reports_reach_the_annotation_or_the_script_fails(digits: Path, tmp_path: Path) -> None:
    self_signed(tmp_path, "IP:127.0.0.1")
    mount = tmp_path / "mount"
    mount.mkdir()
    with serve(tmp_path, mount) as server:
        server.answers.extend([Answer(429, "", {"Retry-After": "0"}), Answer()])
        status, _, err = run(digits, tmp_path, **server.environment)
        assert status == 0, err
        assert [each["epochs"] for each in server.requests[-1].reports] == [1, 2, 3]
        headers = server.requests[-1].headers
        assert headers["Authorization"] == "Bearer first-token"
        assert headers["Content-Type"] == "application/merge-patch+json"
        path = server.requests[-1].path.partition("?")[0]
        assert path == "/api/v1/namespaces/team/pods/digits-0-0"

        server.answers.append(Answer(403, "roles are not read yet"))
        status, _, err = run(digits, tmp_path, **server.environment)
        assert status == 0, err

        # A curl that has tried for long enough.
        (tmp_path / "curl").write_text("#!/bin/sh\nexit 22\n")
        (tmp_path / "curl").chmod(0o755)
        path = f"{tmp_path}:{os.environ['PATH']}"
        status, _, err = run(digits, tmp_path, **server.environment, PATH=path)
        assert status == 1 and "last report not delivered" in err


def test_a_training_that_diverges_says_so(digits: Path, tmp_path: Path) -> None:
    status, out, _ = run(
        digits, tmp_path, HYPERBAND_PARAM_LEARNING_RATE="1e308", HYPERBAND_RESOURCE_TO="1"
    )
    assert status == 0 and last_reports(out)[0]["val_loss"] == "nan"


def test_sigterm_ends_it_at_once(digits: Path, tmp_path: Path) -> None:
    process = start(digits, tmp_path, HYPERBAND_RESOURCE_TO="10000")
    assert process.stdout is not None and process.stdout.readline().startswith("epoch 1 ")
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_with_a_sidecar_reports_are_lines_of_a_file(digits: Path, tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    names = {"HYPERBAND_REPORT_FILE": str(file), "HYPERBAND_POD_NAME": "digits-0-0"}
    status, out, err = run(digits, tmp_path, **names)
    assert status == 0 and not err and "report: " not in out
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [each["epochs"] for each in lines] == [1, 2]
    assert all(set(each) == {"epochs", "val_loss", "accuracy"} for each in lines)
