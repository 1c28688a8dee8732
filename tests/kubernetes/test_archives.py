"""Finished trials in archives: faults at every call, what people do, and the same decisions."""

import asyncio
import gc
import json
import random
from collections import Counter
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperband.api import names
from hyperband.api.archive import unpack
from hyperband.api.study import StudyResource, parse_study
from hyperband.api.trial import TrialResource
from hyperband.backends.kubernetes import afterlife, archiver
from hyperband.backends.kubernetes.api_errors import Forbidden, ServerError
from hyperband.backends.kubernetes.archiver import Archiver, chunk_size
from hyperband.backends.kubernetes.archives import ArchiveReader, read_trials
from hyperband.backends.kubernetes.cache import Cache
from hyperband.backends.kubernetes.objects import ARCHIVES, PODS, TRIALS, Kind
from hyperband.backends.kubernetes.store import TrialStore
from hyperband.core.decisions import Decision, Outcome
from hyperband.core.engine import Engine
from hyperband.core.records import Report, TrialState
from hyperband.core.schedulers import SCHEDULERS
from tests.kubernetes.fake_cluster import (
    NAMESPACE,
    START,
    Body,
    FakeClient,
    Inline,
    Killed,
    World,
    study_body,
)
from tests.kubernetes.test_random_faults import Troubled
from tests.kubernetes.test_random_faults import check as check_troubled
from tests.kubernetes.test_study_task import FAULTS
from tests.kubernetes.test_warm_start import add_study, taken, warm_world

TOTAL, KEPT, CHUNK = 12, 3, 2


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Archives of two trials, made as soon as there is enough for one."""
    monkeypatch.setattr(archiver, "CHUNK", CHUNK)
    monkeypatch.setattr(archiver, "BATCH", 2)
    monkeypatch.setattr(archiver, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(afterlife, "ARCHIVE_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(afterlife, "UNREADABLE_SECONDS", 0.0)


class Archiving(World):
    """A world in which somebody looks at archives."""

    @property
    def archives(self) -> list[Body]:
        return self.client.bodies(ARCHIVES)

    @property
    def archived(self) -> list[int]:
        """Indices, with repetitions."""
        return [t["spec"]["index"] for a in self.archives for t in unpack(a["spec"])]

    @property
    def objects(self) -> list[int]:
        return sorted(t["spec"]["index"] for t in self.client.bodies(TRIALS))

    async def later(self) -> None:
        """A step in which all is looked at again, as once a minute."""
        self.task._resync()
        await self.step()

    async def until(self, what: Callable[[], bool]) -> None:
        for _ in range(300):
            if what():
                return
            try:
                await self.later()
            except Killed:
                self.start()
            self.live()
        raise AssertionError(f"in vain: {self.objects}, {self.study.get('status')}")


class Tidy(Archiving):
    """A world in which pods that have ended are deleted at the next step."""

    def __init__(self, kept: int = KEPT, **spec: Any) -> None:
        plain = {"maxTrials": TOTAL, "hyperband": {"mode": "Stopping"}} | spec
        super().__init__(study_body(retention={"trials": kept}, **plain))

    def live(self) -> None:
        for pod in self.client.bodies(PODS):
            if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                self.remove(pod)
        super().live()

    async def live_out(self) -> None:
        """Runs the study to its end, and its archiving too."""
        await self.run()
        await self.until(lambda: len(self.objects) == KEPT)


async def finished_with_all() -> Tidy:
    """A finished study with all its trials, of which an operator that starts is to keep some."""
    world = Tidy(kept=1000)
    await world.run()
    while world.client.bodies(PODS):
        world.live()
    world.study["spec"]["retention"] = {"trials": KEPT}
    world.start()
    return world


def records(world: World) -> list[Any]:
    """All that is in the trials' records, but for times and what a server makes up."""
    found = json.loads(json.dumps([[t["spec"], t["status"]] for t in world.trials]))
    for _, status in found:
        status.pop("transitionTime")
        for attempt in status["attempts"]:
            attempt.pop("endTime", None)
    return found


def check(world: Tidy) -> None:
    assert world.condition("Succeeded") == "True", world.study["status"]["conditions"]
    assert [t["spec"]["index"] for t in world.trials] == list(range(TOTAL))
    assert sorted(world.archived + world.objects) == list(range(TOTAL)), "each once"
    assert len(world.objects) == KEPT
    values = sorted(v["sequence"] for t in world.trials for v in t["status"].get("rungs", []))
    assert values == list(range(len(values)))
    status = world.study["status"]
    assert status["trials"]["total"] == TOTAL
    spent = sum(t["status"]["curve"][-1]["resource"] for t in world.trials)
    assert status["resourceUnits"] == spent
    assert world.client.most_alive <= 2
    assert all(t["status"]["failures"] == 0 for t in world.trials)


async def undisturbed() -> Tidy:
    world = Tidy()
    await world.live_out()
    check(world)
    return world


async def test_the_records_are_those_of_a_study_without_archives() -> None:
    archived, plain = await undisturbed(), Tidy(kept=1000)
    await plain.run()
    assert not plain.archives
    assert records(archived) == records(plain)
    assert archived.study["status"]["best"] == plain.study["status"]["best"]
    assert archived.study["status"]["brackets"] == plain.study["status"]["brackets"]


async def test_reports_are_answered_while_trials_are_archived() -> None:
    world = Tidy(maxTrials=30)
    reading, go, watched = asyncio.Event(), asyncio.Event(), list[int]()
    get = world.client.get

    async def slow(kind: Kind, namespace: str, name: str, type_: Any) -> Any:
        if kind == TRIALS and not go.is_set():
            watched.append(int(name.rpartition("-")[2]))
            reading.set()
            await go.wait()
        return await get(kind, namespace, name, type_)

    world.client.get = slow  # type: ignore[method-assign]
    while True:
        step = asyncio.create_task(world.step())
        while not (step.done() or reading.is_set()):
            await asyncio.sleep(0)
        if reading.is_set():
            break
        world.live()
    keeper = world.task._keeper
    assert keeper is not None
    looks = keeper._looks
    over = ("Succeeded", "Failed")
    pods = world.client.bodies(PODS)
    pod = next(p for p in pods if p.get("status", {}).get("phase") not in over)
    index = int(pod["metadata"]["labels"][names.TRIAL_LABEL])
    world.set(pod, phase="Running", reports=[{"epochs": 1, "loss": 0.5}])
    looks.notice(watched[0])
    for _ in range(1_000):
        await asyncio.sleep(0)
    trial = next(t for t in world.trials if t["spec"]["index"] == index)
    assert trial["status"].get("rungs") and not step.done()
    assert watched[0] in looks.due, "what is being archived is let alone"
    go.set()
    await step
    assert watched[0] in world.archived
    assert watched[0] not in looks.due


async def test_archives_are_named_and_owned_as_their_study() -> None:
    world = await undisturbed()
    for number, body in enumerate(world.archives):
        assert body["metadata"]["name"] == f"s-archive-{number}"
        owner = body["metadata"]["ownerReferences"][0]
        assert (owner["uid"], owner["controller"]) == (world.study["metadata"]["uid"], True)
        assert body["metadata"]["labels"] == {"hyperband.dev/study": "s"}
        indices = [t["spec"]["index"] for t in unpack(body["spec"])]
        assert (body["spec"]["first"], body["spec"]["last"]) == (indices[0], indices[-1])
        assert body["spec"]["trials"] == len(indices) <= CHUNK


async def test_what_is_archived_while_it_runs_and_what_when_it_is_over() -> None:
    world = Tidy(hyperband={"mode": "Promotion"})
    await world.run()
    states = {t["status"]["state"] for a in world.archives for t in unpack(a["spec"])}
    assert states <= {"Completed", "Failed"}, "paused trials may go on while it runs"
    await world.until(lambda: len(world.objects) == KEPT)
    states = {t["status"]["state"] for a in world.archives for t in unpack(a["spec"])}
    assert "Paused" in states


def around_archiving(verb: str, plural: str) -> bool:
    return plural == ARCHIVES.plural or (plural == TRIALS.plural and verb in ("get", "delete"))


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_at_every_call_around_archiving(name: str) -> None:
    when, error = FAULTS[name]
    calls = [c for c in (await undisturbed()).client.calls if around_archiving(c[0], c[1])]
    assert len(calls) >= 20
    for position in range(len(calls)):
        world = Tidy()
        left = position

        def fault(moment: str, verb: str, plural: str, _: str) -> None:
            nonlocal left
            if moment != when or not around_archiving(verb, plural):
                return
            left -= 1
            if left == -1:
                raise error

        world.client.fault = fault
        await world.live_out()
        check(world)


class TroubledArchiving(Troubled, Archiving):
    """Anything may happen at any time, and pods that have ended may be gone at any time."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.study["spec"]["retention"] = {"trials": self.dice.randint(0, 3)}
        self.start()

    def move(self, pod: Body) -> None:
        ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        if ended and self.dice.random() < 0.7:
            self.remove(pod)
        else:
            super().move(pod)


async def test_random_faults() -> None:
    seen: Counter[str] = Counter()
    archives = 0
    for seed in range(60):
        world = TroubledArchiving(seed)
        seen += await check_troubled(world)
        kept = world.study["spec"]["retention"]["trials"]
        await world.until(lambda w=world, k=kept: len(w.objects) <= k)  # type: ignore[misc]
        assert sorted(set(world.archived + world.objects)) == list(range(world.max_trials))
        archives += len(world.archives)
    assert archives > 60
    assert seen["Killed"] > 20


async def test_with_pods_in_sight_nothing_is_archived() -> None:
    world = Archiving(study_body(retention={"trials": 0}, maxTrials=TOTAL))
    await world.run()
    for _ in range(5):
        await world.later()
    assert not world.client.bodies(ARCHIVES)
    for pod in world.client.bodies(PODS):
        world.remove(pod)
    await world.later()
    assert not world.client.bodies(TRIALS)


async def some_archived(**spec: Any) -> Tidy:
    """A study that runs on, with two archives and nothing left to delete."""
    world = Tidy(**spec)
    await world.until(lambda: len(world.archives) == 2)
    await world.until(lambda: not set(world.archived) & set(world.objects))
    assert world.condition("Finished") != "True"
    return world


async def test_no_index_is_used_again() -> None:
    world = await some_archived(kept=0, parallelism=1)
    highest = max(world.archived + world.objects)
    world.start()
    await world.step()
    created = [name for verb, plural, name in world.client.calls if (verb, plural) == MADE]
    assert len(created) == len(set(created))
    assert max(world.archived + world.objects) in (highest, highest + 1)


MADE = ("create", TRIALS.plural)


async def test_a_trial_that_is_changed_meanwhile_keeps_its_object() -> None:
    world = Tidy()
    changed: list[str] = []

    def fault(moment: str, verb: str, plural: str, name: str) -> None:
        if moment == "before" and (verb, plural) == ("create", ARCHIVES.plural) and not changed:
            body = world.client.objects[TRIALS.plural, "s-0"]
            body["status"]["message"] = "edited by hand"
            world.client.touch(body)
            changed.append(name)

    world.client.fault = fault
    await world.until(lambda: bool(changed))
    await world.until(lambda: 1 not in world.objects)
    assert 0 in world.archived
    assert world.client.objects[TRIALS.plural, "s-0"]["status"]["message"] == "edited by hand"
    world.start()
    await world.live_out()
    assert world.archived.count(0) == 2, "archived again, with what has changed"
    assert world.trials[0]["status"]["message"] == "edited by hand"
    assert set(world.archived + world.objects) == set(range(TOTAL))
    assert world.study["status"]["trials"]["total"] == TOTAL


async def test_an_archive_that_another_process_has_made_is_not_mistaken_for_the_own_one() -> None:
    world = Tidy()

    def fault(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, name) == ("before", "create", "s-archive-0"):
            world.client.fault = lambda *_: None
            body = world.client.objects[TRIALS.plural, "s-1"]
            place = (world.study["metadata"]["namespace"], "s", world.study["metadata"]["uid"])
            world.client.add(ARCHIVES, archiver.archive_manifest(*place, 0, [body]))

    world.client.fault = fault
    await world.live_out()
    check(world)
    assert [t["spec"]["index"] for t in unpack(world.archives[0]["spec"])] == [1]


async def test_a_late_creation_of_an_archived_trial_takes_nothing_back() -> None:
    """By an operator that leads no more: all of its other writes are refused."""
    world = await some_archived()
    index = world.archived[0]
    made = next(t for t in world.trials if t["spec"]["index"] == index)
    owners = world.archives[0]["metadata"]["ownerReferences"]
    metadata = {"name": f"s-{index}", "namespace": NAMESPACE, "ownerReferences": owners}
    metadata["labels"] = made["metadata"]["labels"]
    world.client.add(TRIALS, {"metadata": metadata, "spec": made["spec"]})
    place: Any = (world.client, NAMESPACE, "s", world.study["metadata"]["uid"])
    read = [t async for trials in read_trials(*place) for t in trials]
    assert sorted(int(t.spec["index"]) for t in read) == sorted({*world.archived, *world.objects})
    assert all(t.status for t in read if t.spec["index"] == index)
    world.start()
    await world.live_out()
    check(world)


async def test_deleting_an_archive_is_as_deleting_its_trials() -> None:
    world = await some_archived()
    lost = [t["spec"]["index"] for t in unpack(world.archives[0]["spec"])]
    world.client.drop(ARCHIVES, "s-archive-0")
    await world.live_out()
    left = sorted(set(range(TOTAL)) - set(lost))
    assert sorted(world.archived + world.objects) == left, "their indices are not used again"
    assert world.study["status"]["trials"]["total"] == TOTAL - len(lost)
    assert world.study["status"]["best"]["index"] in left


async def test_an_archive_that_is_deleted_while_it_is_read_does_not_count() -> None:
    world = await some_archived()

    def fault(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, name) == ("after", "get", "s-archive-1"):
            world.client.fault = lambda *_: None
            world.client.drop(ARCHIVES, "s-archive-0")

    world.start()
    world.client.fault = fault
    await world.step()
    await world.step()
    assert world.study["status"]["trials"]["total"] == len(world.trials)


async def test_an_archive_is_read_once() -> None:
    world = await some_archived()
    world.start()
    await world.step()
    world.client.calls.clear()
    world.task._forget()
    await world.step()
    assert ("list", ARCHIVES.plural, "") in world.client.calls
    assert not [c for c in world.client.calls if c[:2] == ("get", ARCHIVES.plural)]


async def test_a_damaged_archive_holds_the_study_and_is_named() -> None:
    world = await some_archived()
    spec = world.client.objects[ARCHIVES.plural, "s-archive-1"]["spec"]
    whole, before = spec["data"], world.objects
    spec["data"] = whole[: len(whole) // 2]
    world.start()
    for _ in range(3):
        await world.step()
        assert world.condition("Ready", "reason") == "ArchiveUnreadable"
    said = world.condition("Ready", "message")
    assert "HyperbandArchive s-archive-1 cannot be read" in said
    assert "or delete it" in said
    assert world.objects == before
    assert world.condition("Finished") != "True"
    spec["data"] = whole
    await world.live_out()
    check(world)


async def test_a_foreign_archive_in_the_way_is_named_and_holds_up_nothing_else() -> None:
    world = Tidy()
    world.client.add(ARCHIVES, {"metadata": {"name": "s-archive-0", "labels": {}}, "spec": {}})
    await world.until(lambda: world.condition("Ready", "reason") == "NameTaken")
    assert "s-archive-0" in world.condition("Ready", "message")
    await world.run()
    assert world.condition("Succeeded") == "True"
    assert world.objects == list(range(TOTAL)), "nothing is deleted that is not archived"
    world.client.drop(ARCHIVES, "s-archive-0")
    await world.live_out()
    check(world)


async def test_what_the_server_forbids_is_shown_and_the_study_goes_on() -> None:
    world = Tidy()

    def fault(moment: str, verb: str, plural: str, name: str) -> None:
        if verb == "create" and plural == ARCHIVES.plural:
            raise Forbidden(403, "Forbidden", "exceeded quota: archives")

    world.client.fault = fault
    await world.until(lambda: world.condition("Ready", "reason") == "RequestRefused")
    assert "trials cannot be archived" in world.condition("Ready", "message")
    await world.run()
    assert world.condition("Succeeded") == "True"
    world.client.fault = lambda *_: None
    await world.live_out()
    check(world)


async def test_a_finished_study_is_archived_by_an_operator_that_starts_later() -> None:
    world = await finished_with_all()
    conditions = world.study["status"]["conditions"]
    await world.step()
    check(world)
    assert world.study["status"]["conditions"] == conditions
    world.client.calls.clear()
    for _ in range(3):
        await world.later()
    assert world.client.calls == [], "and then it asks for nothing"


@pytest.mark.parametrize("unreadable", [False, True])
async def test_archiving_a_finished_study_is_tried_again(
    unreadable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Soon after the server has failed, seldom where people have to mend something."""
    monkeypatch.setattr(afterlife, "ARCHIVE_AGAIN_SECONDS", 30.0)
    monkeypatch.setattr(afterlife, "UNREADABLE_SECONDS", 200.0)
    world = await finished_with_all()
    status = world.trials[0]["status"]
    state = status["state"]

    def fault(moment: str, verb: str, plural: str, name: str) -> None:
        if verb == "create" and plural == ARCHIVES.plural:
            raise ServerError(500, "InternalError", "etcd has no leader")

    if unreadable:
        status["state"] = "Odd"
    else:
        world.client.fault = fault
    begun = world.seconds
    await world.step()
    assert not world.archives
    status["state"], world.client.fault = state, lambda *_: None
    await world.until(lambda: bool(world.archives))
    pause = 200.0 if unreadable else 30.0
    assert pause <= world.seconds - begun < pause + 10
    check(world)


async def test_a_finished_study_keeps_nothing_of_its_trials() -> None:
    """20,000 archived records would be 43 MB of memory for as long as the study is there."""
    world = Tidy()
    await world.live_out()
    for index in world.objects[:2]:
        world.client.drop(TRIALS, f"s-{index}")  # somebody deletes them
    await world.step()
    held = {type(each) for each in reachable(world.task, but=(FakeClient, Cache, Inline))}
    assert TrialResource not in held
    assert not world.task._vanished


def reachable(root: object, but: tuple[type, ...]) -> list[object]:
    """All that an object refers to, over however many others, but for these and what is in them."""
    seen: dict[int, object] = {}
    left = [root]
    while left:
        each = left.pop()
        if id(each) in seen or isinstance(each, (*but, type, ModuleType, FunctionType)):
            continue
        seen[id(each)] = each
        left += gc.get_referents(each)
    return list(seen.values())


async def test_a_study_starts_warm_from_archived_trials() -> None:
    plain = warm_world()
    add_study(plain)
    await plain.step()
    world = warm_world()
    old = add_study(world)
    bodies = [world.client.objects[TRIALS.plural, f"old-{index}"] for index in range(4)]
    place = (old["metadata"]["namespace"], "old", old["metadata"]["uid"])
    for chunk in (0, 1):
        part = bodies[2 * chunk : 2 * chunk + 2]
        world.client.add(ARCHIVES, archiver.archive_manifest(*place, chunk, part))
    for index in (0, 1, 2):  # of the fourth one, both are there
        world.client.drop(TRIALS, f"old-{index}")
    await world.step()
    assert taken(world) == taken(plain)
    shown = world.study["status"]["warmStart"]["studies"][0]
    assert shown["message"] == plain.study["status"]["warmStart"]["studies"][0]["message"]


async def test_a_damaged_archive_of_an_earlier_study_is_named() -> None:
    world = warm_world()
    old = add_study(world)
    body = world.client.objects[TRIALS.plural, "old-0"]
    place = (old["metadata"]["namespace"], "old", old["metadata"]["uid"])
    manifest = archiver.archive_manifest(*place, 0, [body])
    manifest["spec"]["data"] = "AAAA"
    world.client.add(ARCHIVES, manifest)
    await world.step()
    assert world.condition("Ready", "reason") == "ArchiveUnreadable"
    assert "old-archive-0" in world.condition("Ready", "message")


@given(ripe=st.integers(0, 20), keep=st.integers(0, 20), others=st.integers(0, 5))
def test_how_many_are_archived(ripe: int, keep: int, others: int) -> None:
    running = chunk_size(ripe, keep, None)
    assert running in (0, CHUNK)
    assert ripe - running >= keep or running == 0
    assert (running > 0) == (ripe >= keep + CHUNK)
    over = chunk_size(ripe, keep, ripe + others)
    assert over == (running or (max(0, ripe - keep) if not others else 0))


# -- the same decisions ----------------------------------------------------------------------


class Played:
    """A study's trials on a fake server, written by a store, without any pods."""

    def __init__(self, **spec: Any) -> None:
        self.world = Tidy(kept=0, **spec)
        self.study: StudyResource = parse_study(self.world.study)

    async def load(self) -> tuple[TrialStore, Engine]:
        client: Any = self.world.client
        reader = ArchiveReader[TrialResource](client, self.study.namespace, self.study.name)
        store = TrialStore(client, self.study, reader, lambda: START)
        return store, await store.load()


def decide(engine: Engine, dice: random.Random) -> Decision | None:
    """The next decision of a study to which anything may happen."""
    decision = engine.launch()
    if decision is not None:
        return decision
    active = list(engine.active)
    if not active:
        return None
    trial = dice.choice(active)
    if trial.state is TrialState.PENDING:
        return engine.seen_running(trial.index)
    if dice.random() < 0.15:
        return engine.attempt_ended(trial.index, Outcome.FAILED, "it broke")
    level = engine.ladder.first(trial.bracket) if trial.level is None else trial.level + 1
    return engine.observe(trial.index, [Report(engine.ladder[level], dice.choice([0.1, 0.5, 0.9]))])


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    mode=st.sampled_from(list(SCHEDULERS)),
    searcher=st.sampled_from(["Random", "Evolution", "KernelDensity"]),
)
async def test_an_engine_from_archives_decides_as_one_from_objects(
    seed: int, mode: str, searcher: str
) -> None:
    dice = random.Random(seed)
    played = Played(
        maxTrials=40,
        resource={"name": "epochs", "min": 1, "max": 9},
        hyperband={"mode": mode},
        searcher={"type": searcher, "seed": seed},
        failurePolicy={"retries": 0, "maxFailedTrials": 100},
    )
    store, engine = await played.load()
    for _ in range(dice.randrange(120)):
        decision = decide(engine, dice)
        if decision is None:
            break
        await store.commit(engine, decision)
    objects, one = await played.load()
    archiver_ = Archiver(played.world.cluster, objects)
    for _ in range(dice.randrange(20)):  # also while objects are left over
        await archiver_.work()
    account = (objects.totals.gpu_seconds, objects.totals.resource_units)
    rebuilt, other = await played.load()
    assert (rebuilt.totals.gpu_seconds, rebuilt.totals.resource_units) == account
    assert rebuilt.resources.keys() | set(played.world.archived) == one.trials.keys()
    assert (other.best, other.promotions, +other.states) == (one.best, one.promotions, +one.states)
    assert other.finish() == one.finish()
    rest = dice.random()
    first, second = random.Random(rest), random.Random(rest)
    for _ in range(30):
        decision, same = decide(one, first), decide(other, second)
        assert decision == same
        if decision is None or same is None:
            break
        one.put(decision.trial)
        other.put(same.trial)
