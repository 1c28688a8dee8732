"""The client against a scripted server: what is sent, what is raised, what is tried again."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hyperband.backends.kubernetes import api_errors as errors
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.connection import Connection, Headers
from hyperband.backends.kubernetes.objects import PODS, TRIALS, CustomObject, Kind, Object, Pod
from hyperband.backends.kubernetes.transport import Retry
from tests.kubernetes.fake_api import Answer, Cut, FakeApi, Naps, page, pod, refusal

REVIEWS = Kind("authorization.k8s.io", "v1", "subjectaccessreviews", namespaced=False)


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi().serve() as server:
        yield server


@pytest.fixture
def naps() -> Naps:
    return Naps()


@pytest.fixture
async def client(api: FakeApi, naps: Naps) -> AsyncIterator[Client]:
    async with Client(Connection(api.url), sleep=naps, jitter=lambda: 1.0) as opened:
        yield opened


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ((), "/api/v1/pods"),
        (("ns",), "/api/v1/namespaces/ns/pods"),
        (("ns", "a"), "/api/v1/namespaces/ns/pods/a"),
        (("ns", "a", "status"), "/api/v1/namespaces/ns/pods/a/status"),
        (("ns", "a?b c"), "/api/v1/namespaces/ns/pods/a%3Fb%20c"),
    ],
)
def test_path(arguments: tuple[str, ...], path: str) -> None:
    assert PODS.path(*arguments) == path


def test_path_of_groups_and_of_kinds_without_namespaces() -> None:
    assert TRIALS.path("ns") == "/apis/hyperband.dev/v1alpha1/namespaces/ns/hyperbandtrials"
    assert REVIEWS.path() == "/apis/authorization.k8s.io/v1/subjectaccessreviews"


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (PODS, (None, "a")),
        (PODS, ("ns", "")),
        (PODS, ("ns", None, "status")),
        (REVIEWS, ("ns",)),
        (PODS, ("ns", "../../default/pods/a")),
        (PODS, ("ns", "..")),
        (PODS, (".", "a")),
        (PODS, ("ns", "a%2Fb")),
    ],
)
def test_path_never_means_more_than_was_said(kind: Kind, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError):
        kind.path(*arguments)


async def test_each_request_stands_in_a_verbose_log(
    api: FakeApi, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "hyperband")
    api.answer(refusal(404, "NotFound"), Answer(body=pod("a", 1)))
    with pytest.raises(errors.NotFound):
        await client.get(PODS, "ns", "b", Pod)
    await client.get(PODS, "ns", "a", Pod)
    told = [message.partition(" after ")[0] for message in caplog.messages]
    pods = "get /api/v1/namespaces/ns/pods"
    assert told == [f"{pods}/b: 404", f"{pods}/a: 200"]


async def test_get_decodes_the_wanted_part(api: FakeApi, client: Client) -> None:
    raw = pod("a", 7, nodeName="n", initContainers=[{"name": "i", "restartPolicy": "Always"}])
    raw["metadata"]["creationTimestamp"] = "2025-01-02T03:04:05Z"
    raw["metadata"]["ownerReferences"] = [
        {"uid": "u1", "kind": "K", "name": "other"},
        {"uid": "u2", "kind": "K", "name": "mine", "controller": True},
    ]
    terminated = {"exitCode": 137, "reason": "OOMKilled", "startedAt": None}
    raw["status"] = {
        "phase": "Failed",
        "startTime": "2026-01-01T00:00:00Z",
        "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": None}],
        "containerStatuses": [{"name": "a", "state": {"terminated": terminated}}],
    }
    api.answer(Answer(body=raw))
    got = await client.get(PODS, "ns", "a", Pod)
    assert got.metadata.controller is not None and got.metadata.controller.uid == "u2"
    assert got.status.start_time is not None and got.status.start_time.utcoffset() is not None
    assert got.spec.node_name == "n"
    ended = got.status.container_statuses[0].state.terminated
    assert ended is not None and ended.exit_code == 137 and ended.reason == "OOMKilled"
    ready = got.status.condition("Ready")
    assert ready is not None and ready.status == "False" and got.status.condition("X") is None


async def test_numbers_of_custom_objects_stay_what_they_are(api: FakeApi, client: Client) -> None:
    spec = {"int": 3, "float": 3.0, "small": 1e-5}
    api.answer(Answer(body=pod("t", 1) | {"spec": spec, "status": {}}))
    got = await client.get(TRIALS, "ns", "t", CustomObject)
    assert [type(value) for value in got.spec.values()] == [int, float, float]


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (400, "BadRequest", errors.ApiError),
        (403, "Forbidden", errors.Forbidden),
        (404, "NotFound", errors.NotFound),
        (409, "AlreadyExists", errors.AlreadyExists),
        (409, "Conflict", errors.Conflict),
        (410, "Expired", errors.Gone),
        (422, "Invalid", errors.Invalid),
    ],
)
async def test_refusals(
    api: FakeApi, client: Client, code: int, reason: str, kind: type[errors.ApiError]
) -> None:
    api.answer(refusal(code, reason, "why", causes=[{"field": "spec.x"}]))
    with pytest.raises(errors.ApiError) as caught:
        await client.get(PODS, "ns", "a", Pod)
    error = caught.value
    assert type(error) is kind and (error.status, error.reason) == (code, reason)
    assert error.message == "why" and error.details["causes"][0]["field"] == "spec.x"
    assert client.requests["get", "pods", code] == 1


async def test_an_error_page_of_a_proxy_is_quoted(api: FakeApi, client: Client) -> None:
    api.answer(Answer(404, b"<html>nothing here</html>"))
    with pytest.raises(errors.NotFound, match="nothing here"):
        await client.get(PODS, "ns", "a", Pod)


async def test_backoff_and_retry_after(api: FakeApi, client: Client, naps: Naps) -> None:
    api.answer(
        refusal(500, "InternalError"),
        Answer(429, b"{}", {"Retry-After": "7"}),
        refusal(503, "", retryAfterSeconds=2),
        Answer(body=pod("a", 1)),
    )
    await client.get(PODS, "ns", "a", Pod)
    assert naps.taken == [0.25, 0.5 + 7, 1.0 + 2]
    assert client.requests["get", "pods", 429] == 1 and client.requests["get", "pods", 200] == 1


async def test_attempts_are_bounded(api: FakeApi, naps: Naps) -> None:
    api.answer(*[refusal(500, "InternalError", str(n)) for n in range(3)])
    async with Client(Connection(api.url), retry=Retry(attempts=3), sleep=naps) as client:
        with pytest.raises(errors.ServerError, match="2"):
            await client.get(PODS, "ns", "a", Pod)
    assert len(naps.taken) == 2


async def test_a_wait_beyond_the_total_is_not_begun(api: FakeApi, naps: Naps) -> None:
    api.answer(Answer(429, b"{}", {"Retry-After": "61"}))
    async with Client(Connection(api.url), sleep=naps) as client:
        with pytest.raises(errors.TooManyRequests) as caught:
            await client.get(PODS, "ns", "a", Pod)
    assert caught.value.retry_after == 61 and naps.taken == []


async def test_a_broken_connection_is_tried_again(api: FakeApi, client: Client) -> None:
    api.answer(Cut(), refusal(409, "AlreadyExists"))
    with pytest.raises(errors.AlreadyExists):
        await client.create(PODS, "ns", {"metadata": {"name": "a"}}, Pod)
    assert client.requests["create", "pods", 0] == 1


async def test_a_refusal_does_not_hide_that_an_earlier_try_may_have_worked(
    api: FakeApi, client: Client
) -> None:
    body = {"metadata": {"name": "t", "resourceVersion": "1"}, "status": {}}
    for later in (refusal(403, "Forbidden"), refusal(422, "Invalid")):
        api.answer(refusal(500, "InternalError"), later)
        with pytest.raises(errors.ServerError):
            await client.replace_status(TRIALS, "ns", "t", body, CustomObject)
    api.answer(refusal(500, "InternalError"), refusal(409, "Conflict"))
    with pytest.raises(errors.Conflict):
        await client.replace_status(TRIALS, "ns", "t", body, CustomObject)
    api.answer(refusal(500, "InternalError"), refusal(403, "Forbidden"))
    with pytest.raises(errors.Forbidden):
        await client.get(TRIALS, "ns", "t", CustomObject)


async def test_a_nameless_create_is_repeated_only_if_nothing_was_done(
    api: FakeApi, client: Client
) -> None:
    body = {"metadata": {"generateName": "a-"}}
    api.answer(Answer(429, b"{}"), Cut())
    with pytest.raises(errors.Unreachable):
        await client.create(PODS, "ns", body, Pod)
    assert len(api.requests) == 2


async def test_connection_refused(naps: Naps) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with Client(Connection(url), retry=Retry(attempts=2), sleep=naps) as client:
            with pytest.raises(errors.Unreachable, match="get pods"):
                await client.get(PODS, "ns", "a", Pod)
            assert client.requests["get", "pods", 0] == 2


async def test_a_silent_server(api: FakeApi, naps: Naps) -> None:
    late = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await late.wait()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        once = Retry(attempts=1)
        async with Client(Connection(url), retry=once, request_seconds=0.05) as client:
            with pytest.raises(errors.Unreachable, match="Timeout"):
                await client.get(PODS, "ns", "a", Pod)
        late.set()


async def test_pages(api: FakeApi, client: Client) -> None:
    api.answer(page(pod("a", 1), version=9, token="next"), page(pod("b", 2), version=9))
    pages = [p async for p in client.pages(PODS, Pod, label_selector="study in (s)", limit=1)]
    assert [[item.metadata.name for item in p.items] for p in pages] == [["a"], ["b"]]
    first, second = api.requests
    assert first.query == {"limit": "1", "labelSelector": "study in (s)"}
    assert second.query == first.query | {"continue": "next"}


async def test_no_more_than_metadata_is_asked_for_where_no_more_is_read(
    api: FakeApi, client: Client
) -> None:
    nothing = page(version=9)
    nothing.body["items"] = None  # as a 1.34 server writes it
    api.answer(page(version=9), nothing)
    for type_ in (Pod, Object):
        assert [found.items async for found in client.pages(PODS, type_)] == [[]]
    whole, part = (request.headers["Accept"] for request in api.requests)
    assert whole == "application/json"
    assert part.startswith("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,")
    assert part.endswith(",application/json"), "a server that cannot do it sends everything"


async def test_expired_pages(api: FakeApi, client: Client) -> None:
    api.answer(page(pod("a", 1), version=9, token="next"), refusal(410, "Expired"))
    with pytest.raises(errors.Gone):
        async for _ in client.pages(PODS, Pod):
            pass


async def test_create_and_dry_run(api: FakeApi, client: Client) -> None:
    api.answer(Answer(201, pod("a", 1)), Answer(201, pod("a", 1)))
    body = {"metadata": {"name": "a"}}
    await client.create(PODS, "ns", body, Pod)
    await client.create(PODS, "ns", body, Pod, dry_run=True, field_validation="Strict")
    real, dry = api.requests
    assert (real.method, real.path, real.body) == ("POST", "/api/v1/namespaces/ns/pods", body)
    assert real.query == {"fieldManager": "hyperband-operator"}
    assert dry.query == real.query | {"dryRun": "All", "fieldValidation": "Strict"}


async def test_a_conflict_is_not_tried_again(api: FakeApi, client: Client) -> None:
    api.answer(refusal(409, "Conflict"))
    with pytest.raises(errors.Conflict):
        await client.patch(PODS, "ns", "a", {"metadata": {"labels": {"x": None}}}, Pod)
    assert api.requests[0].body == {"metadata": {"labels": {"x": None}}}


async def test_replace_status_needs_a_precondition(api: FakeApi, client: Client) -> None:
    with pytest.raises(ValueError, match="resourceVersion"):
        await client.replace_status(TRIALS, "ns", "t", {"status": {}}, CustomObject)
    api.answer(Answer(body=pod("t", 8)))
    body = {"metadata": {"name": "t", "resourceVersion": "7"}, "status": {}}
    await client.replace_status(TRIALS, "ns", "t", body, CustomObject)
    assert api.requests[0].method == "PUT" and api.requests[0].body == body


async def test_delete(api: FakeApi, client: Client) -> None:
    api.answer(*[Answer(body=pod("a", 1))] * 3)
    await client.delete(PODS, "ns", "a", uid="u", grace_period_seconds=0)
    await client.delete(PODS, "ns", "a")
    await client.delete(PODS, "ns", "a", uid="u", resource_version="7")
    first, second, third = (request.body for request in api.requests)
    assert third["preconditions"] == {"uid": "u", "resourceVersion": "7"}
    assert first["preconditions"] == {"uid": "u"} and first["gracePeriodSeconds"] == 0
    assert second == {"apiVersion": "v1", "kind": "DeleteOptions"}


async def test_an_apply_takes_over_what_its_manager_wants(api: FakeApi, client: Client) -> None:
    api.answer(Answer(201, {"metadata": {"name": "t"}}))
    body = {"metadata": {"name": "t"}, "spec": {"a": 1}}
    await client.apply(TRIALS, "ns", "t", body, dict, field_manager="me")
    (request,) = api.requests
    assert (request.method, request.path) == ("PATCH", TRIALS.path("ns", "t"))
    assert request.headers["Content-Type"] == "application/apply-patch+yaml"
    assert request.query == {"fieldManager": "me", "force": "true", "fieldValidation": "Strict"}
    assert request.body == body


async def test_a_log_comes_as_it_is(api: FakeApi, client: Client) -> None:
    api.answer(Answer(200, b"one\ntwo\x1b no end"))
    chunks = client.log("ns", "p", container="train", follow=True)
    assert b"".join([chunk async for chunk in chunks]) == b"one\ntwo\x1b no end"
    (request,) = api.requests
    assert request.path == "/api/v1/namespaces/ns/pods/p/log"
    assert request.query == {"container": "train", "follow": "true"}
    api.answer(refusal(400, "BadRequest", "waiting to start"))
    with pytest.raises(errors.ApiError, match="waiting to start"):
        await anext(client.log("ns", "p"))


async def test_fields_select_what_is_listed(api: FakeApi, client: Client) -> None:
    api.answer(page(version=1))
    wanted = "status.phase!=Failed"
    assert [p async for p in client.pages(PODS, Pod, "ns", field_selector=wanted)]
    assert api.requests[0].query["fieldSelector"] == wanted


async def test_review(api: FakeApi, client: Client) -> None:
    api.answer(refusal(500, "InternalError"), Answer(201, {"status": {"allowed": True}}))
    assert (await client.create_review(REVIEWS, {"spec": {}}))["status"]["allowed"] is True


async def test_concurrency_is_bounded(api: FakeApi) -> None:
    api.answer(*[Answer(body=pod("a", 1)) for _ in range(6)])
    api.gate = asyncio.Event()
    async with Client(Connection(api.url), concurrency=2) as client, asyncio.TaskGroup() as tasks:
        for _ in range(6):
            tasks.create_task(client.get(PODS, "ns", "a", Pod))
        await api.until(lambda: len(api.requests) == 2)
        api.gate.set()
    assert len(api.requests) == 6 and api.most_at_once == 2


async def test_refused_credentials_are_renewed_once(api: FakeApi) -> None:
    asked: list[Headers | None] = []

    async def headers(refused: Headers | None = None) -> Headers:
        asked.append(refused)
        return {"Authorization": f"Bearer {'old' if refused is None else 'new'}"}

    api.answer(refusal(401, "Unauthorized"), Answer(body=pod("a", 1)))
    api.answer(*[refusal(401, "Unauthorized")] * 2)
    async with Client(Connection(api.url, headers=headers)) as client:
        await client.get(PODS, "ns", "a", Pod)
        with pytest.raises(errors.Unauthorized):
            await client.get(PODS, "ns", "a", Pod)
    assert asked[:2] == [None, {"Authorization": "Bearer old"}]
    sent = [request.headers["Authorization"] for request in api.requests]
    assert sent == ["Bearer old", "Bearer new", "Bearer old", "Bearer new"]


async def test_a_client_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await Client(Connection("http://127.0.0.1:1")).get(PODS, "ns", "a", Pod)
