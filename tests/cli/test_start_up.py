"""How soon the command answers: no verb waits for what the others load."""

import inspect
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from hyperband.cli.main import VERBS, load
from tests.local import runs

ROOT = Path(__file__).parents[2]
HEAVY = ("kopf", "matplotlib", "scipy")
LIGHT = sorted(
    {"list", "describe", "watch", "logs", "suspend", "best", "export", "plot", "compare"}
)
LOADED = f"print(*sorted({set(HEAVY)} & set(sys.modules)))"


def python(
    code: str, *arguments: str, path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter, for which the modules in a folder go before those that are installed."""
    places = [str(each) for each in (path, ROOT / "operator") if each]
    return subprocess.run(
        [sys.executable, *(("-c", code) if code else ("-m", "hyperband.cli")), *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_loads_no_verb() -> None:
    code = (
        "import sys, atexit; atexit.register(lambda: print([m for m in sys.modules if 'backends' "
    )
    code += "in m or m in ('kopf', 'scipy', 'matplotlib', 'numpy')])); "
    code += "from hyperband.cli.main import app; app()"
    ended = python(code, "--help")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "[]"
    for verb, (_, says) in VERBS.items():
        assert f" {verb} " in ended.stdout
        assert says in ended.stdout


@pytest.mark.parametrize("verb", LIGHT)
def test_what_looks_at_a_cluster_does_not_load_what_decides(verb: str) -> None:
    ended = python(f"import sys; from hyperband.cli.main import load; load('{verb}'); {LOADED}")
    assert ended.stdout == "\n", ended.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_listed_is_what_the_verb_says_of_itself(verb: str) -> None:
    place, says = VERBS[verb]
    module, _, function = place.partition(":")
    told = inspect.getdoc(getattr(import_module(f"hyperband.cli.{module}"), function)) or ""
    assert says == told.partition("\n\n")[0].replace("\n", " ")


def test_every_verb_shows_its_help() -> None:
    ended = python("", "compare", "-h")
    assert ended.returncode == 0
    assert "hyperband compare" in ended.stdout
    assert "Studies of one metric and goal are put in order" in ended.stdout
    assert "--install-completion" not in ended.stdout


def test_a_verbs_help_is_wrapped_as_the_terminal_is_wide() -> None:
    of_plot, of_init = load("plot").help or "", load("init").help or ""
    assert "- curves: learning curves by rung\n- best:" in of_plot
    assert of_init.endswith("no terminal to ask on, or cannot be as given.")


def shell(words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`hyperband` with these words and redirections."""
    return subprocess.run(
        ["sh", "-c", f"exec '{sys.executable}' -m hyperband.cli {words}"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "operator"), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_full_disk_is_told_where_output_goes() -> None:
    ended = shell("--version > /dev/full")
    assert ended.returncode == 1
    assert (
        ended.stderr == "hyperband: what is to be told cannot be written: No space left on device\n"
    )


def test_what_a_terminal_cannot_show_is_written_out(tmp_path: Path) -> None:
    study = tmp_path / "caf\u00e9.yaml"
    study.write_text(yaml.safe_dump(runs.study()), encoding="utf-8")
    ended = shell(f"validate '{study}'", PYTHONIOENCODING="ascii")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "caf\\xe9.yaml: toy: valid" in ended.stdout


@pytest.mark.parametrize("verb", ["validate", "convert"])
def test_a_file_without_end_is_told(verb: str) -> None:
    ended = shell(f"{verb} - < /dev/zero")
    assert ended.returncode == 1
    assert "has more than 1500000 bytes" in ended.stdout + ended.stderr
    ended = shell(f"{verb} /dev/zero")
    assert ended.returncode == 1


def test_closed_input_is_nobody_to_ask() -> None:
    ended = shell("init <&-")
    assert ended.returncode == 2
    assert "--goal is missing" in ended.stderr and "Traceback" not in ended.stderr


def test_closed_input_is_told() -> None:
    ended = shell("validate - <&-")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "<stdin>: is closed" in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize("module", ["typer", "aiohttp"])
def test_control_c_while_it_loads_is_no_traceback(tmp_path: Path, module: str) -> None:
    (tmp_path / f"{module}.py").write_text("raise KeyboardInterrupt")
    ended = python("", "list", path=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
