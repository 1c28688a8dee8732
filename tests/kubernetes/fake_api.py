"""An API server that does what it is told: a queue of answers, and a script for each watch."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

WAIT = 5.0  # seconds; only a failing test waits so long


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `body` is an object for JSON, or raw bytes."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cut:
    """Breaks the connection, after these bytes."""

    after: bytes = b""


class Hold:
    """Keeps a stream open and silent until released."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.release = asyncio.Event()


class Naps:
    """A sleep that takes no time and remembers."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class FakeApi:
    """Requests take answers from the queue in order; watches take theirs from a queue of scripts.

    A script is one Answer (a refusal) or a list of steps: events, bytes, Cut, Hold. With its
    queue empty a watch is silent, and any other request is a failure of the test.
    """

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self.answers: deque[Answer | Cut] = deque()
        self.watches: deque[Answer | list[Any]] = deque()
        self.gate: asyncio.Event | None = None  # answers wait for it
        self.answering = self.most_at_once = 0
        self._changed = asyncio.Condition()
        self._end = asyncio.Event()

    def answer(self, *answers: Answer | Cut) -> None:
        self.answers.extend(answers)

    def watch(self, *steps: Any) -> None:
        self.watches.append(list(steps))

    def refuse_watch(self, answer: Answer) -> None:
        self.watches.append(answer)

    @property
    def watched(self) -> list[Request]:
        return [r for r in self.requests if r.query.get("watch") == "true"]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition on the requests that came."""
        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(condition), WAIT)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw) if raw else None
        seen = Request(
            request.method, request.path, dict(request.query), dict(request.headers), body
        )
        async with self._changed:
            self.requests.append(seen)
            self._changed.notify_all()
        if request.query.get("watch") != "true":
            await self._pass_gate()
            answer = self.answers.popleft() if self.answers else Answer(599, b"not expected")
        else:
            script = self.watches.popleft() if self.watches else [Hold()]
            if isinstance(script, list):
                return await self._play(request, script)
            answer = script
        if isinstance(answer, Cut):
            return self._cut(request)
        data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        return web.Response(status=answer.status, body=data, headers=answer.headers)

    async def _pass_gate(self) -> None:
        self.answering += 1
        self.most_at_once = max(self.most_at_once, self.answering)
        if self.gate is not None:
            await self.gate.wait()
        self.answering -= 1

    async def _play(self, request: web.Request, script: list[Any]) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for step in script:
            match step:
                case Hold():
                    step.reached.set()
                    waits = [asyncio.ensure_future(e.wait()) for e in (step.release, self._end)]
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                    for wait in waits:
                        wait.cancel()
                case Cut(after):
                    await response.write(after)
                    return self._cut(request)
                case bytes():
                    await response.write(step)
                case _:
                    await response.write(json.dumps(step).encode() + b"\n")
        return response

    @staticmethod
    def _cut(request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.close()  # flushes what was written, ends no chunk
        return web.Response()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["FakeApi"]:
        app = web.Application(client_max_size=8 * 2**20)
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            self._end.set()
            await runner.cleanup()


def pod(name: str, version: int, uid: str = "", study: str = "s", **spec: Any) -> dict[str, Any]:
    """A pod as the server sends it, cut short."""
    metadata = {
        "name": name,
        "namespace": "ns",
        "uid": uid or f"uid-{name}",
        "resourceVersion": str(version),
        "labels": {"study": study},
        "managedFields": [{"manager": "x"}],
    }
    return {"metadata": metadata, "spec": {"containers": [{"name": "a"}], **spec}, "status": {}}


def page(*items: dict[str, Any], version: int, token: str = "") -> Answer:
    metadata = {"resourceVersion": str(version)} | ({"continue": token} if token else {})
    return Answer(body={"kind": "PodList", "metadata": metadata, "items": list(items)})


def event(kind: str, object_: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "object": object_}


def bookmark(version: int) -> dict[str, Any]:
    """As a 1.34 server writes it for pods: containers are null, there is no name."""
    metadata = {"resourceVersion": str(version), "creationTimestamp": None}
    body = {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {"containers": None}}
    return event("BOOKMARK", body)


def status(code: int, reason: str, message: str = "", **details: Any) -> dict[str, Any]:
    return {
        "kind": "Status",
        "metadata": {},
        "code": code,
        "reason": reason,
        "message": message,
        "details": details,
    }


def refusal(code: int, reason: str, message: str = "", **details: Any) -> Answer:
    return Answer(code, status(code, reason, message, **details))
