"""`hyperband export -o parquet`; that pyarrow reads it: tests/integrations."""

import sys
from pathlib import Path
from typing import Any

import pytest

from hyperband.cli.exporting.parquet import parameter_type
from tests.cli.fake_server import call, serve, world


@pytest.mark.parametrize(
    ("given", "type_"),
    [
        ({"type": "Float", "min": 0, "max": 1}, "float64"),
        ({"type": "Integer", "min": 0, "max": 1}, "int64"),
        ({"type": "Categorical", "values": ["a", "b"]}, "string"),
        ({"type": "Categorical", "values": [True, False]}, "bool_"),
        ({"type": "Categorical", "values": [True, "auto"]}, "string"),
        ({"type": "Ordinal", "values": [16, 32]}, "int64"),
        ({"type": "Ordinal", "values": [16, 0.5]}, "float64"),
        ({"type": "Constant", "value": 3}, "int64"),
    ],
)
def test_a_parameter_has_a_column_of_its_type(given: dict[str, Any], type_: str) -> None:
    assert parameter_type(given) == type_


def test_without_pyarrow_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    serve(monkeypatch, world())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    out = tmp_path / "trials.parquet"
    answer = call("export", "s", "-o", "parquet", "--out", str(out))
    assert answer.exit_code == 2
    assert "pyarrow is not installed: pip install '.[parquet]'" in answer.stderr
    assert not out.exists()
