"""The page in a cluster: nobody sees more than the API server lets them, and it changes nothing."""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from hyperband.api.archive import archive_manifest
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.connection import Connection
from hyperband.backends.kubernetes.transport import Retry
from hyperband.dashboard.cluster import MAX_READ, Cluster
from hyperband.dashboard.feeds import Feeds
from hyperband.dashboard.reviews import Reviewed
from tests.dashboard.fake_apiserver import FakeApiServer, Person
from tests.dashboard.played import objects
from tests.dashboard.web import Site, next_event, site

TEAM, OTHER = "team-a", "team-b"
STUDY = f"/api/studies/{TEAM}/digits"
KINDS = ("hyperbandstudies", "hyperbandtrials", "hyperbandarchives", "pods", "events")
VIEW = {(verb, kind) for kind in KINDS for verb in ("get", "list")} | {("get", "pods/log")}
WAIT = 20.0


def rights(namespace: str, *but: tuple[str, str]) -> set[tuple[str, str, str]]:
    """The role view in a namespace, without some of it."""
    return {(*right, namespace) for right in VIEW - set(but)}


def all_of_it(namespace: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The study and its trials as they are in the middle, in that namespace."""
    study, trials = objects(36, 1500.0)
    uid = f"uid-{namespace}"
    study["metadata"] |= {"namespace": namespace, "uid": uid}
    for each in trials:
        each["metadata"]["namespace"] = namespace
        each["metadata"]["ownerReferences"][0]["uid"] = uid
    return study, trials


def pod(trial: int, attempt: int, owner: str, namespace: str = TEAM) -> dict[str, Any]:
    """A pod that says it is of that trial."""
    name = f"digits-{trial}-{attempt}"
    labels = {"hyperband.dev/study": "digits", "hyperband.dev/trial": str(trial)}
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {**labels, "hyperband.dev/attempt": str(attempt)},
            "ownerReferences": [
                {"uid": owner, "kind": "HyperbandTrial", "name": "x", "controller": True}
            ],
            "creationTimestamp": f"2026-01-01T00:0{attempt}:00Z",
        },
        "spec": {
            "nodeName": "gpu-1",
            "containers": [{"name": "train", "env": [{"name": "KEY", "value": "a-secret"}]}],
        },
        "status": {"phase": "Running", "containerStatuses": []},
    }


def event(number: int, name: str) -> dict[str, Any]:
    """What a kubelet tells of an object of that name."""
    return {
        "metadata": {"name": f"e{number}", "namespace": TEAM},
        "involvedObject": {"name": name},
        "reason": "Pulled",
        "message": "an image",
        "lastTimestamp": "2026-01-01T00:00:00Z",
    }


@dataclass
class Scene:
    """A page in a cluster of two teams."""

    api: FakeApiServer
    page: Site
    now: list[float]  # of the clock that reviews are kept by

    def later(self) -> None:
        """What was reviewed before is asked again."""
        self.now[0] += 11.0


@asynccontextmanager
async def scene(review_every: float = 30.0) -> AsyncIterator[Scene]:
    async with FakeApiServer().serve() as api:
        for namespace in (TEAM, OTHER):
            study, trials = all_of_it(namespace)
            api.put("hyperbandstudies", study)
            for each in trials:
                api.put("hyperbandtrials", each)
        api.people = {
            "admin": Person("admin", rights("*")),
            "ann": Person("ann", rights(TEAM)),
            "nobody": Person("nobody"),
        }
        now = [0.0]
        connection = Connection(api.url)
        async with (
            Client(connection, retry=Retry(attempts=1)) as asking,
            Client(connection, retry=Retry(attempts=1)) as watching,
        ):
            source = Cluster(watching, [])
            feeds = Feeds(source)
            source.on_change(feeds.changed)
            watch = asyncio.create_task(source.watch())
            access = Reviewed(asking, lambda: now[0])
            hosts: frozenset[str] = frozenset()
            try:
                async with site(
                    source, access, feeds, hosts=hosts, review_every=review_every
                ) as page:
                    await until(lambda: not source.wrong)
                    yield Scene(api, page, now)
            finally:
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT):
        while not holds():
            await asyncio.sleep(0.01)


# -- who ------------------------------------------------------------------------------------------


async def test_without_a_token_that_the_cluster_knows_nothing_is_told() -> None:
    async with scene() as here:
        for path in ("/api/me", "/api/studies", STUDY, f"{STUDY}/stream", f"{STUDY}/trials/3/logs"):
            for token in (None, "expired", "x" * 40000):
                async with here.page.open(path, token) as response:
                    text = await response.text()
                    assert response.status in (400, 401), path  # 400: no header is so long
                    assert "digits" not in text
        status, body = await here.page.ask("/api/me", "expired")
        assert status == 401 and "kubectl create token" in body["error"]


async def test_each_sees_the_studies_that_they_may_list() -> None:
    async with scene() as here:
        for token, seen, namespaces in (
            ("admin", [TEAM, OTHER], None),
            ("ann", [TEAM], [TEAM]),
            ("nobody", [], []),
        ):
            _, me = await here.page.ask("/api/me", token)
            assert me == {"user": token, "mode": "cluster", "namespaces": namespaces}
            _, found = await here.page.ask("/api/studies", token)
            assert [each["namespace"] for each in found["studies"]] == seen


async def test_of_many_namespaces_none_is_left_out() -> None:
    async with scene() as here:
        study, _ = all_of_it(TEAM)
        for i in range(250):
            study["metadata"] |= {"namespace": f"many-{i:03}", "uid": f"uid-many-{i}"}
            here.api.put("hyperbandstudies", study)
        here.api.people["ben"] = Person("ben", rights("many-249"))
        async with asyncio.timeout(WAIT):
            while (await here.page.ask("/api/me", "ben"))[1]["namespaces"] != ["many-249"]:
                here.later()  # the last of them has perhaps not been heard of yet
        _, found = await here.page.ask("/api/studies", "ben")
        assert [each["namespace"] for each in found["studies"]] == ["many-249"]


async def test_of_another_namespace_not_even_what_there_is_is_told() -> None:
    async with scene() as here:
        said = []
        for name in ("digits", "no-such-study"):
            status, body = await here.page.ask(f"/api/studies/{OTHER}/{name}", "ann")
            assert status == 403
            said.append(body["error"])
        assert said[0] == said[1]
        assert "ann may not get hyperbandstudies in namespace team-b" in said[0]
        assert (
            here.page.feeds is not None and len(here.page.feeds) == 0
        )  # nor is anything read for them


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("", ("get", "hyperbandstudies")),
        ("", ("list", "hyperbandtrials")),
        ("/figures/curves", ("list", "hyperbandtrials")),
        ("/figures/timeline", ("list", "pods")),
        ("/parallel", ("list", "hyperbandtrials")),
        ("/trials", ("list", "hyperbandtrials")),
        ("/decisions", ("list", "hyperbandtrials")),
        ("/stream", ("list", "hyperbandtrials")),
        ("/trials/3", ("list", "hyperbandtrials")),
        ("/trials/3/pods", ("list", "pods")),
        ("/trials/3/events", ("list", "events")),
        ("/trials/3/logs", ("get", "pods/log")),
    ],
)
async def test_each_part_takes_its_own_right(path: str, missing: tuple[str, str]) -> None:
    async with scene() as here:
        here.api.logs["digits-3-0"] = b"log\n"
        here.api.put("pods", pod(3, 0, "uid-3"))
        here.api.people["ben"] = Person("ben", rights(TEAM, missing))
        status, body = await here.page.ask(STUDY + path, "ben")
        assert status == 403
        assert f"ben may not {missing[0]} {missing[1]} in namespace {TEAM}" in body["error"]
        async with here.page.open(STUDY + path, "ann") as response:
            assert response.status == 200


async def test_archived_trials_take_the_right_to_archives() -> None:
    async with scene() as here:
        _, trials = all_of_it(TEAM)
        bodies = [trials[0]]
        bodies[0]["metadata"]["uid"] = "uid-0"
        here.api.put("hyperbandarchives", archive_manifest(TEAM, "digits", "uid-team-a", 0, bodies))
        here.api.people["ben"] = Person("ben", rights(TEAM, ("list", "hyperbandarchives")))
        status, body = await here.page.ask(STUDY, "ben")
        assert status == 403 and "list hyperbandarchives" in body["error"]
        assert (await here.page.ask(STUDY, "ann"))[0] == 200


async def test_a_right_that_is_withdrawn_is_soon_no_more() -> None:
    async with scene() as here:
        assert (await here.page.ask(STUDY, "ann"))[0] == 200
        here.api.people["ann"].rights.clear()
        here.later()
        assert (await here.page.ask(STUDY, "ann"))[0] == 403


async def test_reviews_are_asked_once_for_much_at_once() -> None:
    async with scene() as here:
        await asyncio.gather(*(here.page.ask(STUDY, "ann") for _ in range(20)))
        tokens = [each for each in here.api.reviews if each["kind"] == "TokenReview"]
        assert len(tokens) == 1 and len(here.api.reviews) == 3


async def test_a_review_carries_all_that_is_known_of_the_viewer() -> None:
    async with scene() as here:
        await here.page.ask(STUDY, "ann")
        spec = next(e["spec"] for e in here.api.reviews if e["kind"] == "SubjectAccessReview")
        assert (spec["user"], spec["groups"]) == ("ann", ["people"])
        assert spec["resourceAttributes"] == {
            "verb": "get",
            "group": "hyperband.dev",
            "resource": "hyperbandstudies",
            "namespace": TEAM,
            "name": "digits",
        }


async def test_without_the_api_server_nobody_is_let_in() -> None:
    async with scene() as here:
        assert (await here.page.ask(STUDY, "ann"))[0] == 200
        here.api.broken = True
        here.later()
        status, body = await here.page.ask(STUDY, "ann")
        # Where it is, is not told to those who are not known.
        assert (status, body["error"]) == (503, "the API server does not answer: try again")
        here.api.broken = False
        assert (await here.page.ask(STUDY, "ann"))[0] == 200


async def test_a_right_that_the_page_itself_lacks_is_not_the_viewers() -> None:
    async with scene() as here:
        assert (await here.page.ask(STUDY, "ann"))[0] == 200
        here.api.refused = {"pods": 403}
        status, body = await here.page.ask(f"{STUDY}/trials/3/pods", "ann")
        assert status == 503
        assert body["error"].startswith("the page's own account lacks a right (pods are refused)")


async def test_nothing_is_written_and_the_viewers_token_goes_nowhere_else() -> None:
    async with scene() as here:
        for path in ("", "/figures/curves", "/trials/3", "/trials/3/pods", "/trials/3/events"):
            await here.page.ask(STUDY + path, "ann")
        for method, path in here.api.asked:
            assert method == "GET" or path.endswith(("/tokenreviews", "/subjectaccessreviews"))
        told = [each for each in here.api.reviews if "ann" in str(each["spec"].get("token", ""))]
        assert {each["kind"] for each in told} == {"TokenReview"}


# -- what -----------------------------------------------------------------------------------------


async def test_pods_are_the_trials_own_and_tell_no_secrets() -> None:
    async with scene() as here:
        here.api.put("pods", pod(3, 0, "uid-3"))
        here.api.put("pods", pod(3, 1, "uid-3"))
        here.api.put("pods", pod(3, 2, "somebody-elses"))  # with the same labels
        _, found = await here.page.ask(f"{STUDY}/trials/3/pods", "ann")
        assert [each["attempt"] for each in found["pods"]] == [0, 1]
        assert "a-secret" not in str(found)


async def test_a_log_is_that_of_the_trials_own_pod() -> None:
    async with scene() as here:
        here.api.put("pods", pod(3, 0, "uid-3"))
        here.api.put("pods", pod(3, 1, "somebody-elses"))
        here.api.logs = {"digits-3-0": b"one\ntwo\n", "digits-3-1": b"theirs\n"}
        async with here.page.open(f"{STUDY}/trials/3/logs?tail=1", "ann") as response:
            assert await response.text() == "two\n"
        status, body = await here.page.ask(f"{STUDY}/trials/3/logs?attempt=1", "ann")
        assert status == 404 and "attempt 1" in body["error"]
        del here.api.logs["digits-3-0"]
        status, body = await here.page.ask(f"{STUDY}/trials/3/logs", "ann")
        assert status == 404 and "waiting to start" in body["error"]


async def test_events_of_a_trial_and_its_pods() -> None:
    async with scene() as here:
        for i, name in enumerate(("digits-3-0", "digits-4-0")):
            here.api.put("events", event(i, name))
        _, found = await here.page.ask(f"{STUDY}/trials/3/events", "ann")
        assert [each["object"] for each in found["events"]] == ["digits-3-0"]


async def test_events_without_end_are_not_read_to_their_end() -> None:
    async with scene() as here:
        for i in range(4 * MAX_READ):
            here.api.put("events", event(i, "digits-3"))
        here.api.put("events", event(10_000, "digits-3-0"))
        _, found = await here.page.ask(f"{STUDY}/trials/3/events", "ann")
        assert len(found["events"]) == 100
        assert {each["object"] for each in found["events"]} == {"digits-3", "digits-3-0"}
        assert sum(path.endswith("/events") for _, path in here.api.asked) == 2


async def test_trials_that_others_made_are_left_out() -> None:
    async with scene() as here:
        _, trials = all_of_it(TEAM)
        forged = copy.deepcopy(trials[0])
        forged["metadata"]["ownerReferences"][0]["uid"] = "another"
        forged["metadata"]["name"] = "digits-99"
        forged["spec"]["index"] = 99
        here.api.put("hyperbandtrials", forged)
        _, found = await here.page.ask(f"{STUDY}/trials?limit=500", "ann")
        assert found["total"] == len(trials)


async def test_trials_that_are_archived_stay() -> None:
    async with scene() as here:
        _, before = await here.page.ask(f"{STUDY}/trials?limit=500", "ann")
        _, trials = all_of_it(TEAM)
        bodies = trials[:5]
        for each in bodies:
            each["metadata"]["uid"] = f"uid-{each['spec']['index']}"
        here.api.put("hyperbandarchives", archive_manifest(TEAM, "digits", "uid-team-a", 0, bodies))
        async with here.page.open(f"{STUDY}/stream", "ann") as response:
            await next_event(response)
            for each in trials[:6]:  # the last of them is archived nowhere
                here.api.remove("hyperbandtrials", TEAM, each["metadata"]["name"])
            _, data = await next_event(response)
        assert "trials" in data["changed"]
        _, after = await here.page.ask(f"{STUDY}/trials?limit=500", "ann")
        assert after["trials"] == [each for each in before["trials"] if each["index"] != 5]


def archive(here: Scene, of_trials: int) -> None:
    """The first trials are in an archive, and no objects any more."""
    _, trials = all_of_it(TEAM)
    bodies = trials[:of_trials]
    for each in bodies:
        each["metadata"]["uid"] = f"uid-{each['spec']['index']}"
        here.api.remove("hyperbandtrials", TEAM, each["metadata"]["name"])
    here.api.put("hyperbandarchives", archive_manifest(TEAM, "digits", "uid-team-a", 0, bodies))


async def test_a_study_waits_for_its_archives() -> None:
    async with scene() as here:
        archive(here, 5)
        here.api.refused["hyperbandarchives"] = 503
        asked = asyncio.create_task(here.page.ask(f"{STUDY}/trials", "ann"))
        await until(lambda: sum("archives" in path for _, path in here.api.asked) > 1)
        assert not asked.done()
        here.api.refused.clear()
        status, found = await asked
        assert status == 200 and found["total"] == len(all_of_it(TEAM)[1])
        assert (await here.page.ask(STUDY, "ann"))[1]["trouble"] == ""


async def test_archives_that_the_page_may_not_read_are_told_of() -> None:
    async with scene() as here:
        archive(here, 5)
        here.api.refused["hyperbandarchives"] = 403
        status, found = await here.page.ask(STUDY, "ann")
        assert status == 200
        assert f"may not list and get hyperbandarchives in namespace {TEAM}" in found["trouble"]


# -- the stream -----------------------------------------------------------------------------------


async def _end(response: aiohttp.ClientResponse) -> str:
    async with asyncio.timeout(WAIT):
        while True:
            event, data = await next_event(response)
            if event == "end":
                return str(data["reason"])


async def test_a_change_of_a_trial_is_told_to_those_who_look() -> None:
    async with scene() as here, here.page.open(f"{STUDY}/stream", "ann") as response:
        _, first = await next_event(response)
        _, trials = all_of_it(TEAM)
        changed = next(each for each in trials if each["status"]["state"] == "Running")
        changed["status"]["latest"] = {"resource": 2.5, "value": 0.25, "text": "0.25"}
        here.api.put("hyperbandtrials", changed)
        _, data = await next_event(response)
        assert data["version"] == first["version"] + 1
        assert {"curves", "trials"} <= set(data["changed"])
        assert [changed["spec"]["index"], 2.5, 0.25] in data["running"]


@pytest.mark.parametrize("change", ["expired", "forbidden", "unavailable"])
async def test_a_stream_ends_when_its_viewer_must_not_see_more(change: str) -> None:
    async with scene(0.05) as here, here.page.open(f"{STUDY}/stream", "ann") as response:
        await next_event(response)
        if change == "expired":
            del here.api.people["ann"]
        elif change == "forbidden":
            here.api.people["ann"].rights.discard(("list", "hyperbandtrials", TEAM))
        else:
            here.api.broken = True
        here.later()
        assert await _end(response) == change


async def test_a_stream_ends_without_the_right_to_what_is_archived_meanwhile() -> None:
    async with scene(0.05) as here:
        here.api.people["ben"] = Person("ben", rights(TEAM, ("list", "hyperbandarchives")))
        async with here.page.open(f"{STUDY}/stream", "ben") as response:
            await next_event(response)
            archive(here, 5)
            assert await _end(response) == "forbidden"


async def test_a_stream_ends_with_its_study() -> None:
    async with scene() as here, here.page.open(f"{STUDY}/stream", "ann") as response:
        await next_event(response)
        here.api.remove("hyperbandstudies", TEAM, "digits")
        assert await _end(response) == "deleted"
        status, body = await here.page.ask(STUDY, "ann")
        assert status == 404 and "there is no study digits" in body["error"]


async def test_readiness_tells_whether_studies_are_known() -> None:
    async with scene() as here:
        for path in ("/healthz", "/readyz"):
            async with here.page.open(path, None) as response:
                assert response.status == 200
