"""What a script sees: the call, its errors, and where reports go without an API server."""

import ast
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hyperband.api import names
from hyperband.report import (
    _environment,
    flush,
    parameters,
    report,
    resource_from,
    resource_target,
)
from hyperband.report.testing import capture

PACKAGE = Path(__file__).parents[2] / "operator/hyperband/report"


def test_reports_are_captured_as_plain_numbers() -> None:
    with capture() as reports:
        report(epochs=np.int64(3), val_loss=np.float32(0.25), best=True, **{"val/acc": 1})
        report(epochs=np.array([4]), val_loss=math.nan)
    assert reports[0] == {"epochs": 3, "val_loss": 0.25, "best": 1, "val/acc": 1}
    assert {type(each) for each in reports[0].values()} == {int, float}
    assert reports[1]["epochs"] == 4 and math.isnan(reports[1]["val_loss"])


@pytest.mark.parametrize("value", ["0.5", None, [0.5], np.zeros(2), 1j])
def test_what_is_not_a_number_is_named(value: object) -> None:
    with capture() as reports, pytest.raises(TypeError, match=r"as val_loss: give (a|one) number"):
        report(epochs=1, val_loss=value)  # type: ignore[arg-type]
    assert not reports


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERBAND_RESOURCE_NAME", "epochs")
    monkeypatch.setenv("HYPERBAND_METRIC", "val_loss")
    with capture():
        with pytest.raises(ValueError, match=r"no 'epochs', the study's spec.resource.name: add"):
            report(epoch=1, val_loss=0.5)
        with pytest.raises(ValueError, match=r"no 'val_loss', the study's spec.objective.metric"):
            report(epochs=1, loss=0.5)
        with pytest.raises(ValueError, match=r"epochs=nan"):
            report(epochs=math.nan, val_loss=0.5)
        with pytest.raises(ValueError, match=r"epochs=-1"):
            report(epochs=-1, val_loss=0.5)
        with pytest.raises(ValueError, match=r"was given nothing"):
            report()


def test_lines_go_to_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HYPERBAND_REPORT_FILE", str(tmp_path / "out.jsonl"))
    report(epochs=1, val_loss=0.5)
    report(epochs=2, val_loss=math.inf)
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["val_loss"] for line in lines] == [0.5, math.inf]
    assert flush()


def test_a_laptop_is_told_once_where_reports_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(epochs=1, val_loss=0.5)
    report(epochs=2, val_loss=0.4)
    path = tmp_path / "hyperband-report.jsonl"
    (line,) = capsys.readouterr().err.splitlines()
    assert str(path) in line and len(path.read_text().splitlines()) == 2


def test_a_file_that_cannot_be_written_does_not_stop_training(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HYPERBAND_REPORT_FILE", str(tmp_path / "none/out.jsonl"))
    report(epochs=1, val_loss=0.5)
    report(epochs=2, val_loss=0.5)
    (line,) = capsys.readouterr().err.splitlines()
    assert "reports are lost" in line and not flush()


def test_a_pod_without_a_token_prints(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HYPERBAND_POD_NAME", "digits-0-0")
    monkeypatch.setenv("HYPERBAND_TOKEN_MOUNT", str(tmp_path))
    report(epochs=1, val_loss=0.5)
    assert json.loads(capsys.readouterr().out) == {"epochs": 1, "val_loss": 0.5}


def test_parameters_and_resources(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parameters(units=8) == {"units": 8}
    assert resource_from() == 0 and resource_target(27) == 27
    with pytest.raises(RuntimeError, match="HYPERBAND_RESOURCE_TO"):
        resource_target()
    monkeypatch.setenv("HYPERBAND_PARAMETERS", '{"layers": 2}')
    monkeypatch.setenv("HYPERBAND_RESOURCE_FROM", "3")
    monkeypatch.setenv("HYPERBAND_RESOURCE_TO", "9.0")
    assert parameters(units=8, layers=1) == {"units": 8, "layers": 2}
    assert resource_from() == 3 and isinstance(resource_target(27), int) and resource_target() == 9


def test_copied_names_are_those_of_the_api() -> None:
    copied = {name for name in vars(_environment) if name.isupper()}
    shared = copied & set(vars(names))
    assert {name: getattr(_environment, name) for name in shared} == {
        name: getattr(names, name) for name in shared
    }
    own = {"ENV_REPORT_INTERVAL", "ENV_TOKEN_MOUNT"}
    own |= {"DEFAULT_INTERVAL", "MAX_INTERVAL"}
    assert copied - shared == own


def test_the_standard_library_is_enough() -> None:
    script = (
        "import sys; import hyperband.report, hyperband.report.testing;"
        "foreign = {name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names);"
        "ours = {name for name in sys.modules if name.startswith('hyperband.')};"
        "assert foreign <= {'__main__', 'hyperband'}, foreign;"
        "assert all(name.startswith('hyperband.report') for name in ours), ours"
    )
    subprocess.run(
        [sys.executable, "-S", "-B", "-c", script],
        env={"PYTHONPATH": str(PACKAGE.parents[1])},
        check=True,
    )


def test_the_syntax_is_that_of_older_pythons() -> None:
    for path in PACKAGE.glob("*.py"):
        ast.parse(path.read_text(), feature_version=(3, 10))
