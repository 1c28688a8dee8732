"""Studies that are looked at: what is dropped is freed, and what fails begins anew."""

import asyncio
import gc
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from hyperband.backends.local.store import read_run, read_study
from hyperband.dashboard import folder as folders
from hyperband.dashboard import server
from hyperband.dashboard import stream as streams
from hyperband.dashboard.access import OwnMachine
from hyperband.dashboard.feeds import Feed, Feeds, UnavailableError
from hyperband.dashboard.folder import Folder
from hyperband.dashboard.serve import THRESHOLDS
from hyperband.dashboard.snapshot import Snapshot
from hyperband.dashboard.stream import Places
from tests.dashboard.played import write_run
from tests.dashboard.test_page_access import STUDY as IN_CLUSTER
from tests.dashboard.test_page_access import TEAM, scene, until
from tests.dashboard.web import STUDY, TOKEN, Site, next_event, of_folder, site

VIEWS = ("", "/decisions", "/figures/importance", "/trials", "/trials/3")


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Meanwhile Python's collector does nothing: what is freed lies in no cycle."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def _dropped(
    site: Site, study: str, key: tuple[str, str], token: str
) -> tuple[weakref.ref[Feed], weakref.ref[Snapshot]]:
    """A feed and its version, which somebody has looked at, after they were dropped."""
    for view in VIEWS:
        status, _ = await site.ask(study + view, token)
        assert status == 200
    assert site.feeds is not None
    feed, snapshot = await site.feeds.get(*key)
    found = weakref.ref(feed), weakref.ref(snapshot)
    site.feeds.drop_all()
    return found


@pytest.mark.usefixtures("uncollected")
async def test_a_study_of_a_cluster_that_is_dropped_is_freed() -> None:
    async with scene() as here:
        feed, snapshot = await _dropped(here.page, IN_CLUSTER, (TEAM, "digits"), "ann")
        await until(lambda: feed() is None and snapshot() is None)


@pytest.mark.usefixtures("uncollected")
async def test_a_run_that_is_dropped_is_freed(tmp_path: Path) -> None:
    write_run(tmp_path, 36, 1500.0)
    async with of_folder(tmp_path) as page:
        feed, snapshot = await _dropped(page, STUDY, ("default", "digits"), TOKEN)
        await until(lambda: feed() is None and snapshot() is None)


async def test_the_collector_comes_seldom_while_a_page_is_served(tmp_path: Path) -> None:
    write_run(tmp_path, 36, 1500.0)
    before = gc.get_threshold()
    async with of_folder(tmp_path):
        assert gc.get_threshold() == THRESHOLDS
    assert gc.get_threshold() == before


async def test_versions_of_a_study_that_is_read_anew_are_new_ones(tmp_path: Path) -> None:
    """A page that looks again would take one that it has seen for what it knows."""
    write_run(tmp_path, 36, 1500.0)
    now = [1_000.0]
    feeds = Feeds(Folder(tmp_path), wall=lambda: now[0])
    found = []
    for _ in range(2):
        now[0] += 0.5
        found.append((await feeds.get("default", "digits"))[1].version)
        feeds.drop_all()
    assert found[0] < found[1]


# -- what fails ----------------------------------------------------------------------------------


class Fragile(Folder):
    """A run whose followers die, the first at once, others when they are told to."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.begun, self.die = 0, asyncio.Event()

    async def follow(self, feed: Feed) -> None:
        self.begun += 1
        if self.begun == 1:
            raise ValueError("it has died")
        following = asyncio.create_task(super().follow(feed))
        try:
            await self.die.wait()
            raise ValueError("it has died")
        finally:
            following.cancel()


async def test_a_follower_that_dies_is_begun_anew_by_the_next_look(tmp_path: Path) -> None:
    write_run(tmp_path, 36, 1500.0)
    source = Fragile(tmp_path)
    async with asyncio.timeout(20.0), site(source, OwnMachine(TOKEN)) as page:
        status, body = await page.ask(STUDY)
        assert status == 503 and "study digits cannot be followed: try again" in body["error"]
        async with page.open(f"{STUDY}/stream") as response:
            assert (await next_event(response))[0] == "change"
            source.die.set()
            assert await next_event(response) == ("end", {"reason": "unavailable"})
        source.die.clear()
        assert (await page.ask(STUDY))[0] == 200 and source.begun == 3


class Over(Folder):
    """A run that nothing more comes of."""

    async def follow(self, feed: Feed) -> None:
        for each in read_run(self._folder)[1]:
            feed.live.see_trial(each)
        feed.complete()


async def test_a_follower_that_has_told_all_may_end(tmp_path: Path) -> None:
    write_run(tmp_path, 36, 1500.0)
    feeds = Feeds(Over(tmp_path))
    feed, _ = await feeds.get("default", "digits")
    assert (await feeds.get("default", "digits"))[0] is feed and not feed.gone
    feeds.drop_all()


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What reading a run fails with, one for each try, the last first."""
    left: list[str] = []

    def unless_locked(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
        def tried(folder: Path) -> Any:
            if left:
                raise sqlite3.OperationalError(left.pop())
            return read(folder)

        return tried

    for read in (read_run, read_study):
        monkeypatch.setattr(folders, read.__name__, unless_locked(read))
    monkeypatch.setattr(folders, "POLL", 0.001)
    return left


async def test_a_run_that_is_locked_is_read_when_it_is_free(
    tmp_path: Path, locked: list[str]
) -> None:
    write_run(tmp_path, 36, 1500.0)
    async with asyncio.timeout(20.0), of_folder(tmp_path) as page:
        locked += ["database is locked"] * 2
        status, body = await page.ask(STUDY)
        assert status == 200 and body["trials"]["total"] == 22 and body["trouble"] == ""


async def test_the_list_goes_on_after_a_run_was_locked(tmp_path: Path, locked: list[str]) -> None:
    write_run(tmp_path, 36, 1500.0)
    source = Folder(tmp_path)
    locked += ["database is locked"] * 2
    write_run(tmp_path, 36, 3000.0)
    watching = asyncio.create_task(source.watch())
    try:
        await until(lambda: source.studies()[0]["status"]["trials"]["total"] > 22)
    finally:
        watching.cancel()


async def test_the_list_reads_no_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand of them take a second, and a run writes all the time."""
    write_run(tmp_path, 36, 1500.0)
    monkeypatch.delattr(folders, "read_run")
    monkeypatch.setattr(folders, "POLL", 0.001)
    source = Folder(tmp_path)
    watching = asyncio.create_task(source.watch())
    write_run(tmp_path, 36, 3000.0)
    try:
        await until(lambda: source.studies()[0]["status"]["trials"]["total"] > 22)
    finally:
        watching.cancel()


# -- much at once --------------------------------------------------------------------------------


class Several(Folder):
    """As many studies as one asks for."""

    def study(self, namespace: str, name: str) -> Any:
        return {**self._body, "metadata": {"namespace": namespace, "name": name, "uid": name}}


async def test_room_is_made_by_what_nobody_has_looked_at_for_longest(tmp_path: Path) -> None:
    write_run(tmp_path, 36, 1500.0)
    now = [0.0]
    feeds = Feeds(Several(tmp_path), most=3, clock=lambda: now[0])
    found = {}
    for name in ("open", "old", "new", "old"):
        now[0] += 1
        found[name], _ = await feeds.get("default", name)
    async with found["open"].subscribed(), found["old"].subscribed():
        await feeds.get("default", "another")
        assert found["new"].gone and not found["open"].gone and not found["old"].gone
        async with (await feeds.get("default", "another"))[0].subscribed():
            with pytest.raises(UnavailableError, match="3 studies are open in pages already"):
                await feeds.get("default", "one-more")
    now[0] += 1
    await feeds.get("default", "another")
    await feeds.get("default", "open")
    await feeds.get("default", "one-more")
    assert found["old"].gone and len(feeds) == 3
    feeds.drop_all()


async def test_one_namespace_does_not_keep_all_the_room(tmp_path: Path) -> None:
    write_run(tmp_path, 36, 1500.0)
    feeds = Feeds(Several(tmp_path), most=3)
    async with AsyncExitStack() as open_:
        found = [(await feeds.get("crowded", name))[0] for name in ("a", "b", "c")]
        for each in found:
            await open_.enter_async_context(each.subscribed())
        feed, _ = await feeds.get("other", "d")
        await open_.enter_async_context(feed.subscribed())
        # Two of one, and one of the other: none has too much.
        with pytest.raises(UnavailableError, match="3 studies are open in pages already"):
            await feeds.get("other", "e")
        assert [each.gone for each in found] == [True, False, False] and not feed.gone
        assert "too many studies" in found[0].failure
    feeds.drop_all()


async def test_what_nobody_has_looked_at_for_long_is_dropped(tmp_path: Path) -> None:
    write_run(tmp_path, 36, 1500.0)
    now = [0.0]
    feeds = Feeds(Several(tmp_path), idle=1.0, clock=lambda: now[0])
    watched, left = [(await feeds.get("default", name))[0] for name in ("watched", "left")]
    async with watched.subscribed():
        for at, there in ((1.0, False), (1.1, True)):
            now[0] = at
            feeds.sweep()
            assert left.gone is there and not watched.gone
    now[0] = 2.1  # a second after it was seen to be looked at
    feeds.sweep()
    assert len(feeds) == 1
    now[0] = 2.2
    feeds.sweep()
    assert watched.gone and len(feeds) == 0


async def test_it_is_looked_for_while_the_page_is_served(tmp_path: Path) -> None:
    write_run(tmp_path, 36, 1500.0)
    now = [0.0]
    source = Folder(tmp_path)
    feeds = Feeds(source, idle=0.01, clock=lambda: now[0])
    async with site(source, OwnMachine(TOKEN), feeds) as page:
        assert (await page.ask(STUDY))[0] == 200
        now[0] = 1.0
        await until(lambda: len(feeds) == 0)


# -- streams -------------------------------------------------------------------------------------


def test_no_viewer_has_all_streams_and_there_is_an_end_of_them() -> None:
    places = Places(most=3, share=2)
    with places.one("ann"), places.one("ben"):
        with places.one("ann"):
            with pytest.raises(UnavailableError, match="you have 2 pages open already: close one"):
                places.one("ann").__enter__()
            with pytest.raises(UnavailableError, match="3 pages are open already: try again"):
                places.one("cid").__enter__()
        with places.one("cid"):
            pass


async def test_a_viewer_that_leaves_makes_room_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "Places", lambda: Places(most=3, share=1))
    async with asyncio.timeout(10.0), scene() as here:  # a stream is not written to for 15 s
        stream = f"{IN_CLUSTER}/stream"
        async with here.page.open(stream, "ann") as response:
            await next_event(response)
            status, body = await here.page.ask(stream, "ann")
            assert status == 503 and "you have 1 pages open already" in body["error"]
            async with here.page.open(stream, "admin") as another:
                assert another.status == 200
        status = 503
        while status != 200:
            async with here.page.open(stream, "ann") as response:
                status = response.status


async def test_a_viewer_that_takes_nothing_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck(response: web.StreamResponse, data: bytes) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(streams, "GIVE_UP", 0.01)
    monkeypatch.setattr(web.StreamResponse, "write", stuck)
    write_run(tmp_path, 36, 1500.0)
    async with (
        asyncio.timeout(20.0),
        of_folder(tmp_path) as page,
        page.open(f"{STUDY}/stream") as response,
    ):
        with pytest.raises(aiohttp.ClientError):
            await response.read()
