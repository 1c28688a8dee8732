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


def test_an_image_that_the_engine_lacks_can_be_built_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from hack.cluster import kindcluster
    from hack.cluster.engine import Engine
    from hack.cluster.run import ClusterError, CommandFailed

    def fails(*_: Any, **__: Any) -> str:
        raise CommandFailed(["docker"], 1, "No such image: trainer:1")

    monkeypatch.setattr("hack.cluster.engine.capture", fails)
    for env, told in (
        ({}, "by docker"),
        ({"DOCKER_HOST": "unix:///x"}, "by DOCKER_HOST=unix:///x docker"),
    ):
        with pytest.raises(ClusterError, match=f"{told} build --tag trainer:1 FOLDER"):
            kindcluster.load(Engine(private=bool(env), env=env), "trainer:1")
