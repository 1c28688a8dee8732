"""The demo's operator."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


class Process:
    """Takes an operator's place."""

    started: tuple[str, ...] = ()

    def __init__(self, words: list[str], **_: Any) -> None:
        Process.started = tuple(words)

    def send_signal(self, _: int) -> None: ...

    def wait(self, timeout: float) -> None: ...


def test_it_leaves_the_studies_of_other_namespaces_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HYPERBAND_CACHE", str(tmp_path))
    from hack import demo  # reads the variable

    monkeypatch.setattr(demo, "LOG", tmp_path / "operator.log")
    monkeypatch.setattr(subprocess, "Popen", Process)
    with demo.operator("team"):
        pass
    assert Process.started == (sys.executable, "-m", "hyperband.cli", "operator", "-n", "team")
