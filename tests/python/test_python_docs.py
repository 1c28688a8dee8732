"""docs/how-to/python.md says what works: its examples are run, one after the other."""

import re
from pathlib import Path

import pytest

from hyperband.backends.kubernetes.connection import Connection
from hyperband.python import remote
from tests.cli.fake_server import Server, world
from tests.kubernetes.fake_cluster import NAMESPACE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/python.md").read_text(encoding="utf-8")
HERE, CLUSTER = PAGE.split("\n## On a cluster\n")


def blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "operator"))
    return tmp_path


def test_examples_of_this_machine(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training, *examples = blocks(HERE)
    (folder / "train.py").write_text(training, encoding="utf-8")
    scope: dict[str, object] = {}
    for example in examples:
        exec(compile(example, "python.md", "exec"), scope)
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    told = capsys.readouterr().out
    assert "spec.maxTrials 0 is below 1" in told
    assert "kind: HyperbandStudy" in told


def test_examples_of_a_cluster(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server(world())
    monkeypatch.setattr(remote, "connect", lambda *_: Connection("http://x", NAMESPACE))
    monkeypatch.setattr(remote, "Client", lambda *_, **__: server)
    scope: dict[str, object] = {}
    # The study there is done and cannot be sent again: it is taken as it is.
    (example,) = blocks(CLUSTER)
    example = example.replace('Study.from_file("study.yaml")', 'Study.get("s")')
    exec(compile(example.replace("study.submit()\n", ""), "python.md", "exec"), scope)
    assert (folder / "timeline.png").read_bytes().startswith(b"\x89PNG")
    assert "s True" in capsys.readouterr().out
