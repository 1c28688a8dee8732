"""Names of studies and trials at Tab, for a shell and for kubectl."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hyperband.backends.kubernetes.api_errors import Unreachable
from hyperband.cli import entry
from hyperband.cli.main import app
from tests.cli.fake_server import Server, serve, world

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return serve(monkeypatch, world())


def tab(*words: str) -> list[str]:
    """What bash is offered after these words, the last one being unfinished."""
    environment = {
        "_HYPERBAND_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(("hyperband", *words)),
        "COMP_CWORD": str(len(words)),
    }
    answer = CliRunner().invoke(app, [], env=environment, prog_name="hyperband")
    assert answer.stderr == ""
    return answer.stdout.split()


def test_verbs_and_options() -> None:
    assert tab("expl") == ["explain"]
    assert "--namespace" in tab("explain", "--n")


def test_names_of_studies(server: Server) -> None:
    for verb in ("describe", "watch", "best", "plot", "compare", "export", "stop"):
        assert tab(verb, "") == ["s"], verb
    assert tab("describe", "x") == []
    assert tab("describe", "-n", "other", "") == []


def test_names_of_trials_are_not_asked_for(server: Server) -> None:
    assert tab("explain", "") == ["s-0", "s-1", "s-2", "s-3"]
    assert tab("logs", "s-2") == ["s-2"]
    assert set(server.asked) == {("list", "hyperbandstudies")}
    server.study["status"]["trials"]["total"] = 20_000
    assert tab("logs", "s-1999") == ["s-1999", *(f"s-1999{i}" for i in range(10))]
    assert len(tab("logs", "s-")) == 100


def test_what_is_wrong_is_not_told(server: Server) -> None:
    def fault(verb: str, plural: str) -> None:
        raise Unreachable("no route")

    server.fault = fault
    assert tab("describe", "") == []
    assert tab("describe", "--dir", "/nowhere", "") == []


def test_kubectl_is_answered_in_its_own_way(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("_HYPERBAND_COMPLETE", "COMP_WORDS", "COMP_CWORD"):
        monkeypatch.setenv(name, "")  # and is taken away again
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-hyperband", "explain", "s-"])
    entry.complete()
    assert capsys.readouterr().out == "s-0\ns-1\ns-2\ns-3\n:4\n"


def test_kubectl_is_answered_where_there_is_no_cluster(tmp_path: Path) -> None:
    code = "import sys; from hyperband.cli.entry import complete; complete()"
    ended = subprocess.run(
        [sys.executable, "-c", code, "describe", "--kubeconfig", str(tmp_path / "none"), ""],
        env={"PYTHONPATH": str(ROOT / "operator")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, ":4\n", "")
