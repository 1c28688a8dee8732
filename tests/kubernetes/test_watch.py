"""kopf's part of the operator: it needs no name of a user, and its trouble is no readiness."""

import asyncio
import getpass
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kopf
import pytest
import yaml

from hyperband.backends.kubernetes.connection import Connection, connect
from hyperband.backends.kubernetes.manager import Manager
from hyperband.backends.kubernetes.study_watch import StudyWatch


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


def watch(connection: Connection, manager: Manager | None = None) -> StudyWatch:
    told = manager or Manager()
    return StudyWatch(connection, ["team"], lambda _: told)


async def test_a_user_without_a_name_may_run_it(
    nowhere: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_name() -> str:
        raise KeyError("getpwuid(): uid not found: 65532")

    monkeypatch.setattr(getpass, "getuser", no_name)
    began = threading.Event()
    login = StudyWatch._registry

    def registry(self: StudyWatch, home: asyncio.AbstractEventLoop) -> kopf.OperatorRegistry:
        handlers = login(self, home)

        @kopf.on.startup(registry=handlers)
        async def begin(**_: object) -> None:
            began.set()

        return handlers

    monkeypatch.setattr(StudyWatch, "_registry", registry)
    watching = watch(nowhere)
    task = asyncio.create_task(watching.run())
    assert await asyncio.to_thread(began.wait, 30)
    assert watching.trouble == ""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_keeps_it_from_watching_is_told_and_tried_again(
    nowhere: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    again = threading.Event()

    async def broken(stop_flag: asyncio.Event, **_: object) -> None:
        runs.append(1)
        if len(runs) == 1:
            raise RuntimeError("no more retries")
        again.set()
        await stop_flag.wait()

    monkeypatch.setattr(kopf, "operator", broken)
    monkeypatch.setattr("hyperband.backends.kubernetes.study_watch.PAUSE_SECONDS", 0.0)
    watching = watch(nowhere)
    task = asyncio.create_task(watching.run())
    assert await asyncio.to_thread(again.wait, 30)
    assert watching.trouble == "watching them has ended: no more retries"
    task.cancel()  # and kopf is told to stop
    await asyncio.gather(task, return_exceptions=True)


async def test_an_end_of_kopf_ends_nothing_that_was_begun_meanwhile(
    nowhere: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = threading.Event()
    real = kopf.operator

    async def short(stop_flag: asyncio.Event, **settings: Any) -> None:
        running.set()
        asyncio.get_running_loop().call_later(0.05, stop_flag.set)
        await real(stop_flag=stop_flag, **settings)

    monkeypatch.setattr(kopf, "operator", short)
    watching = asyncio.create_task(watch(nowhere).watch())
    assert await asyncio.to_thread(running.wait, 30)
    work = asyncio.create_task(asyncio.sleep(3600))
    await watching
    assert not work.done()
    work.cancel()


async def test_news_come_to_the_event_loop_of_the_studies(
    nowhere: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: asyncio.Future[tuple[str, bool]] = asyncio.get_running_loop().create_future()
    here = threading.get_ident()

    class Told(Manager):
        def study_seen(self, body: Mapping[str, Any]) -> None:
            told.set_result((body["metadata"]["name"], threading.get_ident() == here))

    async def brief(registry: Any, **_: object) -> None:
        (handler,) = registry._watching.get_all_handlers()
        metadata = {"namespace": "team", "name": "s", "uid": "u"}
        await handler.fn(type=None, body={"metadata": metadata})

    monkeypatch.setattr(kopf, "operator", brief)
    await watch(nowhere, Told()).watch()
    assert await told == ("s", True)
