"""A clean environment for each test, and an API server."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hyperband.report import _reporter, _signals
from tests.certificates import self_signed
from tests.report.fake_server import FakeServer, serve


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variables of ours, no destination yet, a current folder of its own."""
    for name in list(os.environ):
        if name.startswith(("HYPERBAND_", "KUBERNETES_")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(_reporter, "_destination", None)
    monkeypatch.setattr(_signals, "exit_on_sigterm", lambda: None)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the server's certificate."""
    folder = tmp_path_factory.mktemp("certificate")
    self_signed(folder, "IP:127.0.0.1")
    return folder


@pytest.fixture
def server(certificate: Path, tmp_path: Path) -> Iterator[FakeServer]:
    """A running API server."""
    mount = tmp_path / "mount"
    mount.mkdir()
    with serve(certificate, mount) as fake:
        yield fake


@pytest.fixture
def pod(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """The server, with this process as a trial's pod."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server
