"""Who leads, and who may write: candidates on one fake server, each with the test's clock."""

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Any

import msgspec
import pytest

from hyperband.api import names
from hyperband.backends.kubernetes.api_errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    KubernetesError,
    NotFound,
    NotLeading,
    Unreachable,
)
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.connection import Connection
from hyperband.backends.kubernetes.election import Election
from hyperband.backends.kubernetes.lease import Place, Terms, is_held
from hyperband.backends.kubernetes.objects import LEASES, PODS, Lease, LeaseSpec, Metadata, Pod
from hyperband.backends.kubernetes.shares import Shares
from tests.kubernetes.fake_api import Answer, FakeApi, pod

HERE = Place("team", "hyperband-namespace-operator")
EVERYWHERE = Place("hyperband-system", "hyperband-operator")
TERMS = Terms()  # 15, 10, 2


class Leases:
    """The server's Leases, and one clock for everybody; `sleep` lets it run.

    Attributes:
        trouble: raised in answer to the requests of these candidates, before they take effect.
        unheard: candidates whose writes take effect, but without an answer.
        missing: namespaces that are not there.
        on_sleep: called at each sleep's end.
    """

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.revision = 0
        self.objects: dict[str, dict[str, Any]] = {}
        self.trouble: dict[str, KubernetesError] = {}
        self.unheard: set[str] = set()
        self.missing: set[str] = set()
        self.writes: list[str] = []
        self.asked: list[int] = []  # how many wishes the one who asks has, each time
        self.on_sleep: Callable[[], None] = lambda: None
        self.sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self.numbers = count()

    def candidate(
        self,
        identity: str,
        place: Place = HERE,
        terms: Terms = TERMS,
        higher: Place | None = None,
        shares: Shares | None = None,
        sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> Election:
        return Election(
            _Client(self, identity),  # type: ignore[arg-type]  # stands in for it
            place,
            terms,
            outranked_by=higher,
            shares=shares or Shares(identity),
            clock=lambda: self.seconds,
            sleep=sleep or self.sleep,
        )

    async def wait(self, seconds: float) -> None:
        """For those whose sleeps overlap; `until` wakes them."""
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self.sleepers, (self.seconds + seconds, next(self.numbers), wake))
        await wake

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)
        self.on_sleep()

    def holder(self, place: Place = HERE) -> str:
        holder: str = self.objects[str(place)]["spec"].get("holderIdentity", "")
        return holder

    def wishes(self, who: str) -> int:
        """How many Leases somebody has asked for and not got."""
        annotations = [body["metadata"].get("annotations", {}) for body in self.objects.values()]
        return sum(each.get(names.WANTED_ANNOTATION) == who for each in annotations)

    def store(self, key: str, body: dict[str, Any], who: str) -> Lease:
        self.revision += 1
        body["metadata"] |= {"uid": f"u-{key}", "resourceVersion": str(self.revision)}
        self.objects[key] = body
        self.writes.append(who)
        if who in self.unheard:
            raise Unreachable("no answer")
        return msgspec.convert(body, Lease)


class _Client:
    """The part of `Client` that an election uses."""

    def __init__(self, server: Leases, who: str) -> None:
        self.server, self.who = server, who

    async def get(self, kind: Any, namespace: str, name: str, type_: Any) -> Lease:
        key = self._key(kind, namespace, name)
        if key not in self.server.objects:
            raise NotFound(404)
        return msgspec.convert(self.server.objects[key], Lease)

    async def create(self, kind: Any, namespace: str, body: dict[str, Any], type_: Any) -> Lease:
        key = self._key(kind, namespace, body["metadata"]["name"])
        if namespace in self.server.missing:
            raise NotFound(404, "NotFound", f'namespaces "{namespace}" not found')
        if key in self.server.objects:
            raise AlreadyExists(409)
        return self.server.store(key, body, self.who)

    async def patch(
        self,
        kind: Any,
        namespace: str,
        name: str,
        body: dict[str, Any],
        type_: Any,
        *,
        resource_version: str,
    ) -> Lease:
        await asyncio.sleep(0)  # others of the process go on meanwhile
        key = self._key(kind, namespace, name)
        if key not in self.server.objects:
            raise NotFound(404)
        known = self.server.objects[key]
        if known["metadata"]["resourceVersion"] != resource_version:
            raise Conflict(409)
        wishes = body.get("metadata", {}).get("annotations", {})
        metadata = {"name": name, "annotations": merged(known["metadata"], "annotations", wishes)}
        spec = merged(known, "spec", body.get("spec", {}))
        stored = self.server.store(key, {"metadata": metadata, "spec": spec}, self.who)
        if any(wishes.values()):
            self.server.asked.append(self.server.wishes(self.who))
        return stored

    def _key(self, kind: Any, namespace: str, name: str) -> str:
        assert kind is LEASES
        if self.who in self.server.trouble:
            raise self.server.trouble[self.who]
        return f"{namespace}/{name}"


def merged(body: dict[str, Any], field: str, change: dict[str, Any]) -> dict[str, Any]:
    """As a merge patch does it."""
    both = {**body.get(field, {}), **change}
    return {key: value for key, value in both.items() if value is not None}


def lease(holder: str, seconds: int = 15) -> Lease:
    return Lease(Metadata("l", "u"), LeaseSpec(holder, seconds))


@pytest.mark.parametrize(
    ("found", "unchanged", "held"),
    [
        (None, 0, False),
        (lease(""), 0, False),
        (lease("me"), 0, False),
        (lease("other"), 14.9, True),
        (lease("other"), 15, False),
        (lease("other", 60), 59, True),  # what its holder promised counts, not what we would
    ],
)
def test_a_lease_is_free_once_it_was_seen_unchanged_for_as_long_as_promised(
    found: Lease | None, unchanged: float, held: bool
) -> None:
    assert is_held(found, unchanged, by_other_than="me") is held


@pytest.mark.parametrize("duration", [3, 4, 15, 60])
def test_a_holder_has_stopped_before_others_begin(duration: int) -> None:
    terms = Terms(duration)
    # At the worst it falls asleep, or begins a last try, just before its deadline.
    assert terms.renew_deadline + max(terms.retry, terms.patience) < duration
    # After a try without an answer there is time for another one.
    assert 2 * terms.retry + terms.patience < terms.renew_deadline


async def test_the_first_one_leads_and_the_second_one_waits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    server = Leases()
    first, second = server.candidate("first"), server.candidate("second")
    await first.acquire()
    first.check()
    waiting = asyncio.create_task(second.acquire())
    holding = asyncio.create_task(first.hold())
    while server.seconds < 1100:  # more than five times as long as a Lease holds
        await asyncio.sleep(0)
    assert first.leading and not waiting.done()
    with pytest.raises(NotLeading, match=r"team/hyperband-namespace-operator is not held"):
        second.check()
    told = [r.message for r in caplog.records if "waiting for" in r.message]
    assert told == ["waiting for the Lease team/hyperband-namespace-operator, held by first"]
    for task in (waiting, holding):
        task.cancel()


async def test_a_killed_one_is_followed_after_what_it_promised() -> None:
    server = Leases()
    await server.candidate("killed").acquire()
    server.seconds += 5
    second = server.candidate("second")
    seen = server.seconds
    await second.acquire()
    assert 15 <= server.seconds - seen <= 15 + TERMS.retry
    spec = server.objects[str(HERE)]["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("second", 1)


async def test_one_that_ends_cleanly_is_followed_at_once() -> None:
    server = Leases()
    first, second = server.candidate("first"), server.candidate("second")
    await first.acquire()
    await first.release()
    with pytest.raises(NotLeading):
        first.check()
    before = server.seconds
    await second.acquire()
    assert server.seconds == before


async def test_release_takes_nothing_from_the_one_that_follows() -> None:
    server = Leases()
    first, second = server.candidate("first"), server.candidate("second")
    await first.acquire()
    server.seconds += 100
    await second.acquire()  # waits in vain for a sign of life of the first
    await first.release()
    assert server.holder() == "second"


async def test_one_given_up_while_it_took_the_lease_gives_it_back() -> None:
    server = Leases()
    server.unheard = {"first"}
    first = server.candidate("first")
    server.on_sleep = lambda: waiting.cancel()
    waiting = asyncio.create_task(first.acquire())
    await asyncio.gather(waiting, return_exceptions=True)
    assert server.holder() == "first"
    server.unheard.clear()
    await first.release()
    assert server.holder() == ""


async def test_a_paused_one_may_not_write_and_does_not_go_on() -> None:
    server = Leases()
    paused, second = server.candidate("paused"), server.candidate("second")
    await paused.acquire()
    server.seconds += 60  # it does not run, its clock does
    with pytest.raises(NotLeading, match=r"was renewed 60\.0 s ago"):
        paused.check()
    await second.acquire()
    written = len(server.writes)
    await paused.hold()
    assert not paused.leading
    assert (server.holder(), len(server.writes)) == ("second", written)


async def test_one_that_was_paused_while_nobody_else_was_there_leads_again_in_its_turn() -> None:
    server = Leases()
    only = server.candidate("only")
    await only.acquire()
    server.seconds += 60
    await only.hold()  # studies are read anew in between
    assert not only.leading
    await only.acquire()
    only.check()


@pytest.mark.parametrize("error", [Unreachable("no answer"), Forbidden(403)])
async def test_trouble_shorter_than_the_deadline_loses_nothing(error: KubernetesError) -> None:
    server = Leases()
    first = server.candidate("first")
    await first.acquire()
    started = server.seconds

    def play() -> None:
        past = server.seconds - started
        server.trouble = {"first": error} if 1 < past < 8 else {}
        if past > 60:
            holding.cancel()

    server.on_sleep = play
    holding = asyncio.create_task(first.hold())
    await asyncio.gather(holding, return_exceptions=True)
    assert holding.cancelled(), "it has held on"
    assert first.leading


async def test_trouble_is_told_once_each_time_that_it_comes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Leases()
    first = server.candidate("first")
    await first.acquire()
    started = server.seconds

    def play() -> None:
        past = server.seconds - started
        server.trouble = {"first": Unreachable("no answer")} if past % 20 < 6 else {}
        if past > 50:
            holding.cancel()

    server.on_sleep = play
    holding = asyncio.create_task(first.hold())
    await asyncio.gather(holding, return_exceptions=True)
    assert [r.message for r in caplog.records] == [f"the Lease {HERE}: no answer"] * 3


async def test_a_renewal_that_comes_after_the_deadline_opens_no_fence() -> None:
    server = Leases()
    first = server.candidate("first")
    await first.acquire()
    client: Any = first._client
    answer = client.patch
    closed = []

    async def patch(*given: Any, **named: Any) -> Lease:
        renewed: Lease = await answer(*given, **named)
        server.seconds += 8.5  # the last renewal was sent 10.5 s ago, this one 8.5 s ago
        closed.append(not first.leading)
        return renewed

    client.patch = patch
    await first.hold()
    assert closed == [True]
    with pytest.raises(NotLeading):
        first.check()
    client.patch = answer
    await first.acquire()
    first.check()


async def test_a_server_that_is_away_ends_it_at_the_deadline() -> None:
    server = Leases()
    first = server.candidate("first")
    await first.acquire()
    started = server.seconds
    server.trouble = {"first": Unreachable("no answer")}
    seen = []
    server.on_sleep = lambda: seen.append((server.seconds - started, first.leading))
    await first.hold()
    assert all(leading is (past < 10) for past, leading in seen)
    assert 10 <= server.seconds - started <= 12


async def test_a_renewal_whose_answer_was_lost_is_made_again() -> None:
    server = Leases()
    first = server.candidate("first")
    await first.acquire()
    started = server.seconds

    def play() -> None:
        past = server.seconds - started
        server.unheard = {"first"} if past < 7 else set()
        if past > 30:
            holding.cancel()

    server.on_sleep = play
    holding = asyncio.create_task(first.hold())
    await asyncio.gather(holding, return_exceptions=True)
    assert holding.cancelled() and first.leading


async def test_a_lease_that_somebody_edits_or_deletes_is_taken_again() -> None:
    server = Leases()
    first = server.candidate("first")
    await first.acquire()
    edits: list[Callable[[], Any]] = [
        lambda: server.objects.clear(),
        lambda: server.objects[str(HERE)]["spec"].pop("holderIdentity"),
        lambda: server.objects[str(HERE)]["metadata"].update(resourceVersion="77777"),
    ]

    def play() -> None:
        if edits:
            edits.pop()()
        elif server.seconds > 1030:
            holding.cancel()

    server.on_sleep = play
    holding = asyncio.create_task(first.hold())
    await asyncio.gather(holding, return_exceptions=True)
    assert holding.cancelled() and first.leading
    assert server.holder() == "first"


async def test_a_lease_that_somebody_else_has_is_given_up_at_once() -> None:
    server = Leases()
    first = server.candidate("first")
    await first.acquire()
    stolen = server.objects[str(HERE)]
    stolen["spec"]["holderIdentity"] = "thief"
    stolen["metadata"]["resourceVersion"] = "77777"
    before = server.seconds
    await first.hold()
    assert server.seconds - before <= TERMS.retry


@pytest.mark.parametrize(
    ("place", "mend"),
    [
        (EVERYWHERE, "kubectl apply --server-side -f manifests/install"),
        (HERE, "is there a namespace team, and in it a RoleBinding"),
    ],
)
async def test_a_place_that_is_missing_is_named_once_with_the_mend(
    caplog: pytest.LogCaptureFixture, place: Place, mend: str
) -> None:
    server = Leases()
    server.missing = {place.namespace}

    def play() -> None:
        if server.seconds > 1010:
            server.missing.clear()

    server.on_sleep = play
    first = server.candidate("first", place)
    await first.acquire()
    assert first.leading
    missing = f'namespaces "{place.namespace}" not found'
    told = [r.message for r in caplog.records if missing in r.message]
    assert len(told) == 1
    assert mend in told[0]


async def test_an_operator_for_one_namespace_leaves_its_work_to_one_for_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    server = Leases()
    small = server.candidate("small", higher=EVERYWHERE)
    great = server.candidate("great", place=EVERYWHERE)
    await small.acquire()
    await great.acquire()  # waits for nobody
    await small.hold()
    assert great.leading and not small.leading
    waiting = asyncio.create_task(small.acquire())
    await server.sleep(0)
    await great.release()
    await waiting
    assert small.leading
    assert "held by great" in caplog.text


async def test_who_may_not_see_the_lease_for_all_namespaces_works_nevertheless() -> None:
    server = Leases()
    small = server.candidate("small", higher=EVERYWHERE)
    client: Any = small._client
    read = client.get

    async def get(kind: Any, namespace: str, name: str, type_: Any) -> Lease:
        if namespace == EVERYWHERE.namespace:
            raise Forbidden(403)
        found: Lease = await read(kind, namespace, name, type_)
        return found

    client.get = get
    await small.acquire()
    assert small.leading


# -- the fence inside the client ---------------------------------------------------------------


async def test_the_fence_holds_back_writes_and_no_reads() -> None:
    server = Leases()
    election = server.candidate("first")
    body = {"metadata": {"name": "a", "resourceVersion": "1"}}
    async with (
        FakeApi().serve() as api,
        Client(Connection(api.url), fence=election.check) as client,
    ):
        writes: list[Callable[[], Any]] = [
            lambda: client.create(PODS, "ns", body, dict),
            lambda: client.create(PODS, "ns", body, dict, dry_run=True),
            lambda: client.patch(PODS, "ns", "a", body, dict),
            lambda: client.replace_status(PODS, "ns", "a", body, dict),
            lambda: client.delete(PODS, "ns", "a"),
        ]
        for write in writes:
            with pytest.raises(NotLeading):
                await write()
        assert api.requests == []
        api.answer(Answer(body=pod("a", 1)))
        await client.get(PODS, "ns", "a", Pod)
        await election.acquire()
        api.answer(*(Answer(body=body) for _ in writes))
        for write in writes:
            await write()
        assert len(api.requests) == 1 + len(writes)


async def test_a_write_that_is_repeated_asks_the_fence_again() -> None:
    server = Leases()
    election = server.candidate("first")
    await election.acquire()

    async def nap(_: float) -> None:
        server.seconds += 60

    async with (
        FakeApi().serve() as api,
        Client(Connection(api.url), fence=election.check, sleep=nap) as client,
    ):
        api.answer(Answer(500))
        with pytest.raises(NotLeading):
            await client.delete(PODS, "ns", "a")
        assert len(api.requests) == 1


# -- several namespaces --------------------------------------------------------------------------

PLACES = [Place(name, HERE.name) for name in "abcdef"]


class Process:
    """One that works wherever it leads, as `Reign` does without any work.

    Attributes:
        gave: what it has given to another one.
    """

    def __init__(self, server: Leases, identity: str, places: Sequence[Place] = PLACES) -> None:
        shares = Shares(identity)
        self.server, self.identity = server, identity
        self.elections = [
            server.candidate(identity, place, shares=shares, sleep=server.wait) for place in places
        ]
        self.tasks = [asyncio.create_task(self._run(each)) for each in self.elections]
        self.gave: list[Place] = []

    async def _run(self, election: Election) -> None:
        while True:
            await election.acquire()
            if await election.hold():
                self.gave.append(election.place)
                await election.release()

    @property
    def leads(self) -> list[Place]:
        return [each.place for each in self.elections if each.leading]

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def kill(self) -> None:
        """Its Leases stay as they are."""
        self.server.trouble[self.identity] = Unreachable("it is dead")
        await self.end()


async def until(server: Leases, happens: Callable[[], bool]) -> None:
    """Lets time go on, from one sleeper's end to the next one's, until something happens."""
    for _ in range(20_000):
        for _ in range(20):  # what they do when they wake never waits for anything but the clock
            await asyncio.sleep(0)
        if happens():
            return
        server.seconds, _, wake = heapq.heappop(server.sleepers)
        if not wake.done():
            wake.set_result(None)
    raise AssertionError("it never happens")


def evenly(*processes: Process) -> Callable[[], bool]:
    """Whether they lead everywhere, and none of them in two more than another."""

    def spread() -> bool:
        counts = [len(each.leads) for each in processes]
        return sum(counts) == len(PLACES) and max(counts) - min(counts) < 2

    return spread


async def test_one_alone_leads_everywhere_soon() -> None:
    server = Leases()
    begun = server.seconds
    only = Process(server, "x")
    await until(server, evenly(only))
    assert server.seconds - begun <= TERMS.duration / 3 + 2 * TERMS.retry
    await only.end()


async def test_who_comes_later_gets_his_share_and_nobody_more() -> None:
    server = Leases()
    first = Process(server, "x")
    await until(server, evenly(first))
    second = Process(server, "y")
    await until(server, evenly(first, second))
    third = Process(server, "z")
    await until(server, evenly(first, second, third))
    assert [len(each.leads) for each in (first, second, third)] == [2, 2, 2]
    gave = sum(len(each.gave) for each in (first, second, third))
    assert gave == 5, "three for the second one, two for the third, and none back"
    assert set(server.asked) == {1}, "one Lease is asked for at a time"
    quiet = len(server.asked)
    rest = server.seconds
    await until(server, lambda: server.seconds > rest + 100)
    assert len(server.asked) == quiet, "nobody asks for more"
    for each in (first, second, third):
        await each.end()


async def test_the_namespaces_of_a_killed_one_go_to_the_others() -> None:
    server = Leases()
    processes = [Process(server, name) for name in "xyz"]
    await until(server, evenly(*processes))
    await processes[0].kill()
    await until(server, evenly(*processes[1:]))
    back = Process(server, "x2")
    await until(server, evenly(back, *processes[1:]))
    for each in (back, *processes[1:]):
        await each.end()


async def test_a_lease_that_is_given_is_left_to_whom_it_is_given() -> None:
    server = Leases()
    giver = server.candidate("giver")
    await giver.acquire()
    ask(server, "wanter")
    await giver.release()
    given, taken = server.seconds, []
    wanter = server.candidate("wanter")

    async def take() -> None:
        await wanter.acquire()
        taken.append(server.seconds - given)

    async def nap(seconds: float) -> None:
        await server.sleep(seconds)
        if server.seconds - given > TERMS.duration / 2 and not taken:
            await take()

    other = server.candidate("other", sleep=nap)
    waiting = asyncio.create_task(other.acquire())
    while server.seconds - given < TERMS.duration:
        await asyncio.sleep(0)
    assert taken and wanter.leading and not other.leading
    assert not server.objects[str(HERE)]["metadata"].get("annotations"), "the wish is fulfilled"
    waiting.cancel()


async def test_whom_it_is_given_to_may_have_died() -> None:
    server = Leases()
    giver = server.candidate("giver")
    await giver.acquire()
    ask(server, "dead")
    await giver.release()
    given = server.seconds
    await server.candidate("other").acquire()
    assert TERMS.duration <= server.seconds - given <= TERMS.duration + TERMS.retry


async def test_who_asks_without_having_fewer_gets_an_answer_and_no_lease() -> None:
    """As with an annotation that somebody has forged."""
    server = Leases()
    holder = server.candidate("holder")
    await holder.acquire()
    ask(server, "forger")
    holding = asyncio.create_task(holder.hold())
    while server.objects[str(HERE)]["metadata"]["annotations"]:
        await asyncio.sleep(0)
    assert holder.leading and server.holder() == "holder"
    holding.cancel()


async def test_to_be_asked_is_no_sign_of_life() -> None:
    server = Leases()
    await server.candidate("killed").acquire()
    second = server.candidate("second")
    seen = server.seconds
    server.on_sleep = lambda: ask(server, "third") if server.seconds < seen + 9 else None
    await second.acquire()
    assert server.seconds - seen <= TERMS.duration + TERMS.retry


def ask(server: Leases, who: str) -> None:
    """Somebody's wish is written into the Lease."""
    body = server.objects[str(HERE)]
    annotations = {names.WANTED_ANNOTATION: who}
    server.store(
        str(HERE),
        {"metadata": {"name": HERE.name, "annotations": annotations}, "spec": body["spec"]},
        who,
    )


async def test_a_wish_counts_from_when_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those for other Leases, who look at the same time, must not ask as well."""
    server = Leases()
    await server.candidate("holder").acquire()
    monkeypatch.setattr(Shares, "asks_for", lambda *_: True)
    wanter = server.candidate("wanter")
    client: Any = wanter._client
    patch, seen = client.patch, []

    async def answer(*given: Any, **named: Any) -> Lease:
        seen.append(wanter.wanter)
        stored: Lease = await patch(*given, **named)
        return stored

    client.patch = answer
    waiting = asyncio.create_task(wanter.acquire())
    while not seen:
        await asyncio.sleep(0)
    assert seen[0] == "wanter"
    waiting.cancel()


@pytest.mark.parametrize("phase", [0.0, 0.5, 1.0, 1.5])
async def test_a_deleted_lease_is_taken_again_before_others_come(phase: float) -> None:
    server = Leases()
    first = Process(server, "first", PLACES[:5])
    await until(server, lambda: len(first.leads) == 5)
    second = Process(server, "second", PLACES[:5])
    await until(server, lambda: (len(first.leads), len(second.leads)) == (3, 2))
    rest = server.seconds + 20 + phase
    await until(server, lambda: server.seconds > rest)
    place, end = first.leads[0], server.seconds + 30
    del server.objects[str(place)]
    both: list[float] = []

    def passes() -> bool:
        if place in first.leads and place in second.leads:
            both.append(server.seconds)
        return server.seconds > end

    await until(server, passes)
    assert not both
    assert server.holder(place) == "first"
    await first.end()
    await second.end()
