"""kopf's part of the operator: it needs no name of a user, and its trouble is no readiness."""

import asyncio
import getpass
from pathlib import Path

import kopf
import pytest
import yaml

from hyperband.backends.kubernetes.connection import Connection, connect
from hyperband.backends.kubernetes.manager import Manager
from hyperband.backends.kubernetes.operator import _reign, _run_kopf


@pytest.fixture
def nowhere(tmp_path: Path) -> Connection:
    """An API server that is not there."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return connect(path)


async def test_a_user_without_a_name_may_run_it(
    nowhere: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_name() -> str:
        raise KeyError("getpwuid(): uid not found: 65532")

    monkeypatch.setattr(getpass, "getuser", no_name)
    manager, over = Manager(), asyncio.Event()
    over.set()
    await _run_kopf(manager, nowhere, ["team"], over, asyncio.Event())
    assert manager.trouble == ""


async def test_what_keeps_it_from_watching_is_told(
    nowhere: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(**_: object) -> None:
        raise RuntimeError("no more retries")

    monkeypatch.setattr(kopf, "operator", broken)
    manager, over = Manager(), asyncio.Event()
    over.set()
    await _run_kopf(manager, nowhere, ["team"], over, asyncio.Event())
    assert manager.trouble == "watching them has ended: no more retries"


async def test_a_process_that_has_lost_the_lease_has_no_trouble_with_studies(
    nowhere: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = asyncio.Event()

    class Election:
        async def hold(self) -> None:
            await lost.wait()

    async def broken(**_: object) -> None:
        lost.set()
        raise RuntimeError("no more retries")

    monkeypatch.setattr(kopf, "operator", broken)
    manager = Manager()
    await _reign(manager, nowhere, [], Election(), asyncio.Event())  # type: ignore[arg-type]
    assert manager.trouble == "", "one that waits for its turn is ready to take over"
