"""The version stands in one place, and all that is released has it from there."""

import tomllib
from pathlib import Path

from typer.testing import CliRunner

from hyperband.cli.main import app
from hyperband.version import VERSION

ROOT = Path(__file__).parents[2]


def test_the_command_tells_it() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout.strip() == f"hyperband {VERSION}"


def test_the_wheel_has_it_from_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    where = project["tool"]["setuptools"]["dynamic"]["version"]
    assert where == {"attr": "hyperband.version.VERSION"}
