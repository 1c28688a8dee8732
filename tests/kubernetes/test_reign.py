"""Work in one namespace, or in all: when it begins, and that nothing of it is left at the end."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from hyperband.backends.kubernetes import manager
from hyperband.backends.kubernetes.api_errors import Unreachable
from hyperband.backends.kubernetes.client import Page, PageMetadata
from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.objects import Kind
from hyperband.backends.kubernetes.reign import Caches, Reign
from hyperband.backends.kubernetes.reigns import KINDS, Reigns
from hyperband.backends.kubernetes.telemetry.metrics import Metrics
from hyperband.backends.kubernetes.telemetry.pods import PodState
from tests.kubernetes.fake_cluster import Inline, as_

WAIT = 5.0  # seconds; only a failing test waits so long


class Server:
    """What it lists; nothing happens in its watches.

    Attributes:
        objects: by resource.
        lists: what was listed, in order.
        away: resources that are not answered for.
    """

    def __init__(self) -> None:
        self.objects: dict[str, list[dict[str, Any]]] = {}
        self.lists: list[str] = []
        self.away: set[str] = set()

    async def pages(
        self, kind: Kind, type_: Any, namespace: str | None = None, **_: Any
    ) -> AsyncIterator[Page[Any]]:
        await asyncio.sleep(0)
        self.lists.append(kind.plural)
        if kind.plural in self.away:
            raise Unreachable("no answer")
        there = [
            as_(body, type_)
            for body in self.objects.get(kind.plural, [])
            if namespace in (None, body["metadata"]["namespace"])
        ]
        yield Page(PageMetadata("10"), there)

    async def watch(self, *_: Any, **__: Any) -> AsyncGenerator[bytes, None]:
        await asyncio.Event().wait()
        yield b""


class Candidate:
    """An election whose end the test says."""

    def __init__(self) -> None:
        self.led, self.over = asyncio.Event(), asyncio.Event()
        self.gives_back = False
        self.leading = self.is_taken = False
        self.released = 0

    async def acquire(self) -> None:
        await self.led.wait()
        self.leading = True
        self.over.clear()

    async def hold(self) -> bool:
        await self.over.wait()
        self.led.clear()
        self.leading = self.gives_back
        return self.gives_back

    async def release(self) -> None:
        self.leading = False
        self.released += 1

    def why_not_leading(self) -> str:
        return "" if self.leading else "it waits"


class Task:
    """A study's task."""

    running: dict[str, int] = {}  # noqa: RUF012 - of the test, by study

    def __init__(self, cluster: Cluster, body: Mapping[str, Any]) -> None:
        metadata = body["metadata"]
        self.uid, self.key = metadata["uid"], f"{metadata['namespace']}/{metadata['name']}"
        self.backlog = (False, 0)
        self.ended_pods = False

    async def run(self) -> None:
        self.running[self.key] = self.running.get(self.key, 0) + 1
        try:
            await asyncio.Event().wait()
        finally:
            del self.running[self.key]

    def is_newer_than(self, body: Mapping[str, Any]) -> bool:
        return False

    def update(self, body: Mapping[str, Any]) -> None:
        pass

    def pod_changed(self, *_: object) -> None:
        pass

    def other_study_changed(self, name: str) -> None:
        pass


def study(namespace: str, name: str = "s") -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": name, "uid": f"u-{name}"}, "spec": {}}


def pod(namespace: str) -> dict[str, Any]:
    owner = {"kind": "HyperbandTrial", "name": "s-0", "uid": "t", "controller": True}
    metadata = {"name": "s-0-0", "namespace": namespace, "uid": "p", "resourceVersion": "5"}
    return {"metadata": metadata | {"ownerReferences": [owner]}}


@pytest.fixture(autouse=True)
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    Task.running = {}
    monkeypatch.setattr(manager, "StudyTask", Task)


class World:
    """Reigns on one server."""

    def __init__(self, *scopes: str | None) -> None:
        self.server, self.metrics = Server(), Metrics()
        self.elections = {scope: Candidate() for scope in scopes}
        self.reigns = {
            scope: Reign(
                scope,
                election,  # type: ignore[arg-type]  # stands in for it
                self.server,  # type: ignore[arg-type]  # the same
                self._cluster,
                self.metrics,
            )
            for scope, election in self.elections.items()
        }
        self.all = Reigns(list(self.reigns.values()))
        self.tasks = [asyncio.create_task(each.run()) for each in self.reigns.values()]

    def _cluster(self, client: Any, caches: Caches) -> Cluster:
        clocks: Any = (lambda: None, lambda: 0.0)
        return Cluster(client, caches.pods, caches.trials, *clocks, Inline(), self.metrics)

    async def until(self, happens: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT):
            while not happens():
                await asyncio.sleep(0)

    async def working(self, *keys: str) -> None:
        """Waits until there are tasks of these studies and of no others."""
        await self.until(lambda: set(Task.running) == set(keys))

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_each_namespace_begins_and_ends_by_itself() -> None:
    world = World("a", "b")
    world.server.objects = {"hyperbandstudies": [study("a"), study("b")]}
    for each in world.reigns.values():
        each.manager.study_seen(study("a"))  # by kopf, before it leads
    await asyncio.sleep(0)
    assert not Task.running and not world.server.lists, "memory is used where it leads"
    for election in world.elections.values():
        election.led.set()
    await world.working("a/s", "b/s")
    world.elections["a"].over.set()
    await world.working("b/s")
    assert Task.running == {"b/s": 1}
    await world.until(lambda: not world.reigns["a"].informers)
    assert world.reigns["b"].informers
    world.reigns["a"].manager.study_seen(study("a"))
    await asyncio.sleep(0)
    assert set(Task.running) == {"b/s"}, "news of a namespace that others lead in are dropped"
    world.elections["a"].led.set()
    await world.working("a/s", "b/s")
    await world.end()
    assert not Task.running
    assert [each.released for each in world.elections.values()] == [1, 1]


async def test_studies_are_listed_after_all_else() -> None:
    world = World("a")
    world.elections["a"].led.set()
    await world.until(
        lambda: world.reigns["a"].why_not_working() == "" and bool(world.server.lists)
    )
    await world.until(lambda: "hyperbandstudies" in world.server.lists)
    assert set(world.server.lists[:-1]) == set(KINDS)
    await world.end()


async def test_a_lease_is_given_back_once_nothing_works_there_any_more() -> None:
    world = World("a")
    world.server.objects = {"hyperbandstudies": [study("a")], "pods": [pod("a")]}
    election = world.elections["a"]
    at_release = []

    async def release() -> None:
        at_release.append(set(Task.running))
        election.leading = False

    election.release = release  # type: ignore[method-assign]
    election.led.set()
    await world.working("a/s")
    assert world.metrics.pods.counts("a", "s") == {PodState.UNSCHEDULED: 1}
    election.gives_back = True
    election.over.set()
    await world.until(lambda: bool(at_release))
    assert at_release == [set()]
    assert not world.metrics.pods.counts("a", "s"), "its pods are another one's to count"
    await world.end()


async def test_all_is_listed_anew_whenever_the_lease_is_taken() -> None:
    """Whoever had it before may have acted on what was not heard of here."""
    world = World(None)
    world.server.objects = {"hyperbandstudies": [study("a")]}
    for turn in (1, 2):
        await asyncio.sleep(0)
        assert len(world.server.lists) == (turn - 1) * 4, "not while another one leads"
        world.elections[None].led.set()
        await world.working("a/s")
        assert world.server.lists.count("pods") == turn
        world.elections[None].over.set()
        await world.working()
        await world.until(lambda: not world.reigns[None].informers)
    await world.end()


async def test_studies_that_cannot_be_listed_are_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hyperband.backends.kubernetes.reign.PAUSE_SECONDS", 0.0)
    world = World("a")
    world.server.objects = {"hyperbandstudies": [study("a")]}
    world.server.away = {"hyperbandstudies"}
    world.elections["a"].led.set()
    await world.until(lambda: world.server.lists.count("hyperbandstudies") > 2)
    assert world.all.not_working() == "those of a are not listed yet"
    world.server.away = set()
    await world.working("a/s")
    await world.until(lambda: world.all.not_working() == "")
    await world.end()


async def test_ready_is_who_leads_somewhere_or_has_nothing_to_take() -> None:
    world = World("a", "b")
    a, b = world.elections.values()
    assert world.all.why_not_leading() == "it waits; it waits"
    a.is_taken = True
    assert world.all.why_not_leading(), "b is free"
    b.is_taken = True
    assert not world.all.why_not_leading(), "there is nothing to take"
    a.is_taken = b.is_taken = False
    b.led.set()
    await world.until(lambda: b.leading)
    assert not world.all.why_not_leading()
    assert world.all.leading() == {"a": False, "b": True}
    await world.end()
    alone = World("a")
    alone.elections["a"].is_taken = True
    assert alone.all.why_not_leading() == "it waits", (
        "one for a single namespace is like one for all"
    )
    await alone.end()


async def test_work_that_has_ended_by_itself_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World("a")

    async def broken(*_: object) -> None:
        raise RuntimeError(json.dumps("unheard of"))

    monkeypatch.setattr(manager.Manager, "audit", broken)
    world.elections["a"].led.set()
    await world.until(lambda: world.all.dead() != "")
    assert world.all.dead() == "the task studies-a has ended"
    await world.end()
