"""The generated files are those that the Python source gives, and are fit to be read."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.generate import FILES, REPOSITORY, drifted, main, render, texts
from hyperband.api.schema.definitions import ARCHIVE_SCHEMA, STUDY_SCHEMA, TRIAL_SCHEMA


def test_nothing_has_drifted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().out


def test_drift_is_named(tmp_path: Path) -> None:
    wanted = texts()
    for path, text in wanted.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    assert drifted(wanted, tmp_path) == []
    target = tmp_path / "crds/hyperbandstudies.yaml"
    target.write_text(target.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    (tmp_path / "charts/hyperband-operator/values.schema.json").unlink()
    assert drifted(wanted, tmp_path) == [
        "crds/hyperbandstudies.yaml",
        "charts/hyperband-operator/values.schema.json",
    ]


def test_yaml_reads_back_as_written() -> None:
    for manifests in FILES.values():
        assert list(yaml.safe_load_all(render(manifests()))) == manifests()


def test_every_manifest_is_yaml() -> None:
    for path in sorted((REPOSITORY / "manifests/install").glob("*.yaml")):
        for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            assert manifest["kind"], path


def _fields(schema: dict[str, Any], path: str) -> list[tuple[str, dict[str, Any]]]:
    found = [(path, schema)]
    for name, field in schema.get("properties", {}).items():
        found += _fields(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            found += _fields(schema[key], f"{path}[]")
    return found


@pytest.mark.parametrize(
    "schema", [STUDY_SCHEMA, TRIAL_SCHEMA, ARCHIVE_SCHEMA], ids=["study", "trial", "archive"]
)
def test_every_field_is_explained(schema: dict[str, Any]) -> None:
    for part in {"spec", "status"} & schema["properties"].keys():
        for path, field in _fields(schema["properties"][part], part):
            assert field.get("description", "").endswith((".", "`.")), path
            for rule in field.get("x-kubernetes-validations", ()):
                assert ":" in rule["message"], (path, rule)  # what is wrong: the mend
