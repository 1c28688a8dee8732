"""The informer against a scripted server: what it makes of events, errors and gaps."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.connection import Connection
from hyperband.backends.kubernetes.informer import Change, Informer
from hyperband.backends.kubernetes.objects import PODS, Pod
from hyperband.backends.kubernetes.transport import Retry
from tests.kubernetes.fake_api import (
    WAIT,
    Cut,
    FakeApi,
    Hold,
    Naps,
    bookmark,
    event,
    page,
    pod,
    refusal,
    status,
)


class Seen:
    """What on_change was told: (change, name, uid, resourceVersion)."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str, str, str]] = []
        self._more = asyncio.Event()

    def __call__(self, change: Change, old: Pod | None, new: Pod | None) -> None:
        assert (change is Change.ADDED) == (old is None)
        assert (change is Change.DELETED) == (new is None)
        told = (new or old).metadata  # type: ignore[union-attr]
        self.changes.append((change.value, told.name, told.uid, told.resource_version))
        self._more.set()

    async def until(self, count: int) -> list[tuple[str, str]]:
        """The first `count` changes, (change, name) each."""
        while len(self.changes) < count:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), WAIT)
        return [change[:2] for change in self.changes]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def struct(raw: dict[str, Any]) -> Pod:
    return msgspec.convert(raw, Pod)


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi().serve() as server:
        yield server


@pytest.fixture
def seen() -> Seen:
    return Seen()


@asynccontextmanager
async def following(api: FakeApi, seen: Seen, **options: Any) -> AsyncIterator[Informer[Pod]]:
    """An informer that runs and has its first list."""
    naps = options.pop("sleep", Naps())
    retry = Retry(attempts=1)  # so that the informer's own persistence is what is tested
    async with Client(Connection(api.url), retry=retry, sleep=naps) as client:
        informer = Informer(client, PODS, Pod, on_change=seen, sleep=naps, **options)
        task = asyncio.create_task(informer.run())
        try:
            await asyncio.wait_for(informer.synced.wait(), WAIT)
            yield informer
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_list_then_watch(api: FakeApi, seen: Seen) -> None:
    api.answer(page(pod("a", 3), version=10, token="t"), page(pod("b", 4), version=10))
    api.watch(
        event("ADDED", pod("c", 11)),
        event("MODIFIED", pod("a", 12)),
        event("DELETED", pod("b", 13)),
        Hold(),
    )
    async with following(api, seen, label_selector="study", namespace="ns") as informer:
        assert await seen.until(5) == [
            ("Added", "a"), ("Added", "b"),
            ("Added", "c"), ("Modified", "a"), ("Deleted", "b"),
        ]  # fmt: skip
        assert len(informer) == 2 and informer.get("ns", "b") is None
        found = informer.get("ns", "a")
        assert found is not None and found.metadata.resource_version == "12"
    (watch,) = api.watched
    assert watch.path == "/api/v1/namespaces/ns/pods"
    assert watch.query["resourceVersion"] == "10" and watch.query["labelSelector"] == "study"
    assert watch.query["allowWatchBookmarks"] == "true"
    assert 240 <= int(watch.query["timeoutSeconds"]) <= 300


async def test_index(api: FakeApi, seen: Seen) -> None:
    api.answer(page(pod("a", 1), pod("b", 2, study="t"), pod("c", 3), version=10))
    api.watch(
        event("MODIFIED", pod("a", 11, study="t")),
        event("DELETED", pod("c", 12)),
        event("ADDED", pod("c", 13, uid="new", study="t")),
    )
    index = lambda p: (p.metadata.namespace, p.metadata.labels["study"])  # noqa: E731
    async with following(api, seen, index=index) as informer:
        await seen.until(6)
        names = sorted(p.metadata.name for p in informer.by_index(("ns", "t")))
        assert names == ["a", "b", "c"]
        assert informer.by_index(("ns", "s")) == []
        assert len(list(informer)) == 3


async def test_a_bookmark_moves_on(api: FakeApi, seen: Seen) -> None:
    api.answer(page(version=10))
    api.watch(bookmark(50))
    async with following(api, seen):
        await api.until(lambda: len(api.watched) == 2)
    assert api.watched[1].query["resourceVersion"] == "50"
    assert len(api.requests) == 3  # one list


@pytest.mark.parametrize("in_stream", [True, False])
async def test_410_lists_again_and_derives_deletions(
    api: FakeApi, seen: Seen, in_stream: bool
) -> None:
    api.answer(page(pod("a", 1), pod("b", 2), pod("c", 3), version=10))
    api.answer(page(pod("a", 1), pod("b", 25, uid="new"), pod("d", 26), version=30))
    if in_stream:
        api.watch({"type": "ERROR", "object": status(410, "Expired", "too old")})
    else:
        api.refuse_watch(refusal(410, "Expired", "too old"))
    async with following(api, seen) as informer:
        await api.until(lambda: len(api.watched) == 2)
        assert (await seen.until(7))[3:] == [
            ("Deleted", "b"), ("Added", "b"), ("Added", "d"), ("Deleted", "c"),
        ]  # fmt: skip
        assert [change[2] for change in seen.changes[3:5]] == ["uid-b", "new"]
        assert {p.metadata.name for p in informer} == {"a", "b", "d"}
    assert api.watched[1].query["resourceVersion"] == "30"


async def test_410_while_paging_starts_again(api: FakeApi, seen: Seen) -> None:
    api.answer(page(pod("a", 1), pod("b", 2), version=10, token="t"), refusal(410, "Expired"))
    api.answer(page(pod("a", 1), version=20))
    async with following(api, seen) as informer:
        assert [p.metadata.name for p in informer] == ["a"]
        assert await seen.until(3) == [("Added", "a"), ("Added", "b"), ("Deleted", "b")]


async def test_duplicate_and_late_events(api: FakeApi, seen: Seen) -> None:
    api.answer(page(pod("a", 9), version=10))
    api.watch(
        event("ADDED", pod("a", 9)),  # a duplicate
        event("MODIFIED", pod("a", 12)),
        event("MODIFIED", pod("a", 11)),  # late
        event("DELETED", pod("a", 8, uid="before")),  # late, of an earlier one
        event("DELETED", pod("a", 13)),
        event("MODIFIED", pod("a", 12)),  # late, after the deletion
        event("ADDED", pod("a", 14, uid="new")),
        Hold(),
    )
    async with following(api, seen):
        assert await seen.until(4) == [
            ("Added", "a"), ("Modified", "a"), ("Deleted", "a"), ("Added", "a"),
        ]  # fmt: skip


async def test_another_uid_without_a_deletion(api: FakeApi, seen: Seen) -> None:
    api.answer(page(pod("a", 9), version=10))
    api.watch(event("MODIFIED", pod("a", 12, uid="new")), Hold())
    async with following(api, seen):
        assert await seen.until(3) == [("Added", "a"), ("Deleted", "a"), ("Added", "a")]


async def test_a_line_cut_in_the_middle(api: FakeApi, seen: Seen) -> None:
    whole = msgspec.json.encode(event("ADDED", pod("b", 12))) + b"\n"
    api.answer(page(version=10))
    api.watch(event("ADDED", pod("a", 11)), Cut(whole[:50]))
    api.watch(whole[:50])  # cut, though the answer ends in good order
    api.watch(whole, Hold())
    async with following(api, seen):
        assert await seen.until(2) == [("Added", "a"), ("Added", "b")]
    assert [w.query["resourceVersion"] for w in api.watched] == ["10", "11", "11"]


async def test_a_line_in_pieces_and_a_very_long_one(api: FakeApi, seen: Seen) -> None:
    whole = msgspec.json.encode(event("ADDED", pod("a", 11))) + b"\n"
    long = pod("b", 12)
    long["metadata"]["annotations"] = {"big": "x" * 3 * 2**20}
    hold = Hold()
    api.answer(page(version=10))
    api.watch(whole[:30], hold, whole[30:], event("ADDED", long), Hold())
    async with following(api, seen) as informer:
        await asyncio.wait_for(hold.reached.wait(), WAIT)
        hold.release.set()
        assert await seen.until(2) == [("Added", "a"), ("Added", "b")]
        found = informer.get("ns", "b")
        assert found is not None and len(found.metadata.annotations["big"]) == 3 * 2**20


async def test_every_other_error_is_tried_again(api: FakeApi, seen: Seen) -> None:
    naps = Naps()
    api.answer(refusal(403, "Forbidden"), refusal(500, "InternalError"))
    api.answer(refusal(404, "NotFound"), page(pod("a", 1), version=10))
    api.refuse_watch(refusal(429, "TooManyRequests"))
    api.watch(event("ADDED", pod("b", 11)), Cut())
    api.refuse_watch(refusal(500, "InternalError"))
    api.watch({"type": "ERROR", "object": status(500, "InternalError")})
    api.watch(b"not json\n")
    api.watch(event("ADDED", pod("c", 12)), Hold())
    async with following(api, seen, sleep=naps, jitter=lambda: 1.0):
        await seen.until(3)
    assert naps.taken == [0.25, 0.5, 1.0, 2.0, 0.25, 0.25, 0.5, 1.0]  # an event starts it anew


async def test_a_watch_that_brings_nothing_leads_to_a_new_list(api: FakeApi, seen: Seen) -> None:
    """As after the restore of a backup: a 1.34 server is silent until it is past our version."""
    clock, hold = Clock(), Hold()
    api.answer(page(pod("a", 900), version=1000), page(pod("a", 500), version=600))
    api.watch(hold)
    api.watch(event("MODIFIED", pod("a", 601)), Hold())
    async with following(api, seen, clock=clock):
        await asyncio.wait_for(hold.reached.wait(), WAIT)
        clock.now += 270.0
        hold.release.set()
        await seen.until(3)
        assert [change[3] for change in seen.changes] == ["900", "500", "601"]


async def test_vain_watches_lead_to_a_new_list(api: FakeApi, seen: Seen) -> None:
    """Whatever the reason; here a server that says why."""
    api.answer(page(pod("a", 900), version=1000), page(pod("a", 500), version=600))
    for _ in range(5):
        api.refuse_watch(refusal(504, "Timeout", "Too large resource version: 1000"))
    api.watch(event("MODIFIED", pod("a", 601)), Hold())
    async with following(api, seen):
        await seen.until(3)
        assert [change[3] for change in seen.changes] == ["900", "500", "601"]


async def test_the_backoff_is_capped(api: FakeApi, seen: Seen) -> None:
    naps = Naps()
    api.answer(*[refusal(503, "") for _ in range(40)], page(version=1))
    async with following(api, seen, sleep=naps, jitter=lambda: 1.0):
        assert max(naps.taken) == 30.0 and len(naps.taken) == 40
    assert Retry(cap=30.0).delay(5000, 1.0) == 30.0


async def test_connection_refused_then_there(seen: Seen) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        naps = Naps()
        connection = Connection(f"http://127.0.0.1:{taken.getsockname()[1]}")
        async with Client(connection, retry=Retry(attempts=1)) as client:
            informer = Informer(client, PODS, Pod, sleep=naps)
            task = asyncio.create_task(informer.run())
            while len(naps.taken) < 3:
                await asyncio.sleep(0)
            assert not informer.synced.is_set() and informer.stale
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_dead_connection_is_left(api: FakeApi, seen: Seen, monkeypatch: Any) -> None:
    monkeypatch.setattr("hyperband.backends.kubernetes.informer.WATCH_SECONDS", (0, 0))
    api.answer(page(version=10))
    api.watch(event("ADDED", pod("a", 11)), Hold())  # and then not a byte
    async with following(api, seen, silence_margin=0.05):
        await api.until(lambda: len(api.watched) == 2)
    assert api.watched[1].query["resourceVersion"] == "11"


async def test_age_and_staleness(api: FakeApi, seen: Seen) -> None:
    clock, hold = Clock(), Hold()
    api.answer(page(version=10))
    api.watch(hold, bookmark(11), event("ADDED", pod("a", 12)), Hold())
    async with following(api, seen, clock=clock, stale_seconds=100.0) as informer:
        await asyncio.wait_for(hold.reached.wait(), WAIT)
        clock.now += 101.0
        assert informer.age == 101.0 and informer.stale
        hold.release.set()
        await seen.until(1)
        assert informer.age == 0.0 and not informer.stale


async def test_a_failing_callback_does_no_harm(api: FakeApi) -> None:
    calls = []

    def broken(change: Change, old: Pod | None, new: Pod | None) -> None:
        calls.append(change)
        raise RuntimeError("not your day")

    api.answer(page(pod("a", 1), version=10))
    async with following(api, broken) as informer:  # type: ignore[arg-type]
        assert calls == [Change.ADDED] and informer.get("ns", "a") is not None


async def test_own_writes_are_seen_at_once_and_never_undone(api: FakeApi, seen: Seen) -> None:
    hold = Hold()
    api.answer(page(pod("a", 9), version=10))
    api.watch(
        hold,
        event("MODIFIED", pod("a", 11)),  # older than the own write
        event("MODIFIED", pod("a", 12)),  # the own write
        event("ADDED", pod("b", 13)),
        Hold(),
    )
    async with following(api, seen) as informer:
        await asyncio.wait_for(hold.reached.wait(), WAIT)
        informer.put(struct(pod("a", 12)))
        informer.put(struct(pod("a", 9)))  # an answer that was overtaken
        hold.release.set()
        await seen.until(3)
        assert [change[3] for change in seen.changes] == ["9", "12", "13"]


async def test_an_own_write_that_was_deleted_meanwhile_stays_gone(api: FakeApi, seen: Seen) -> None:
    api.answer(page(version=10))
    api.watch(event("ADDED", pod("a", 11)), event("DELETED", pod("a", 12)), Hold())
    async with following(api, seen) as informer:
        await seen.until(2)
        informer.put(struct(pod("a", 11)))  # the create's answer, overtaken by both events
        assert len(informer) == 0


async def test_an_own_write_during_a_list_survives_it(api: FakeApi, seen: Seen) -> None:
    api.answer(page(pod("a", 1), pod("x", 2), version=10))
    api.refuse_watch(refusal(410, "Expired"))
    hold = Hold()
    api.watch(hold)
    async with following(api, seen) as informer:
        api.gate = asyncio.Event()
        api.answer(page(pod("a", 1), version=20))
        await api.until(lambda: api.answering == 1)
        informer.put(struct(pod("a", 21)))
        informer.put(struct(pod("new", 22)))
        informer.put(struct(pod("brief", 15)))  # gone again before the list's state
        api.gate.set()
        await asyncio.wait_for(hold.reached.wait(), WAIT)
        left = {p.metadata.name: p.metadata.resource_version for p in informer}
        assert left == {"a": "21", "new": "22"}
