"""An API server in memory, over HTTP: lists, watches, logs, and reviews of made-up people."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Body = dict[str, Any]
OWN = "the-servers-own-token"


@dataclass
class Person:
    """Whoever a token belongs to, and what they may: (verb, resource, namespace or * for all)."""

    name: str
    rights: set[tuple[str, str, str]] = field(default_factory=set)


class FakeApiServer:
    """Objects by plural; each change is told to those that watch."""

    def __init__(self) -> None:
        self.url = ""
        self.people: dict[str, Person] = {}  # by token
        self.logs: dict[str, bytes] = {}  # by pod
        self.asked: list[tuple[str, str]] = []  # method, path
        self.reviews: list[Body] = []
        self.broken = False  # answers nothing but 503
        self.refused: dict[str, int] = {}  # plural: the status of each answer
        self._objects: dict[str, dict[tuple[str, str], Body]] = {}
        self._version = 100
        self._watches: list[tuple[str, dict[str, str], asyncio.Queue[Body | None]]] = []

    # -- what there is ---------------------------------------------------------------------------

    def put(self, plural: str, body: Body) -> None:
        """An object as it is now."""
        self._version += 1
        body = json.loads(json.dumps(body))
        body["metadata"] |= {"resourceVersion": str(self._version)}
        body["metadata"].setdefault("uid", f"uid-{body['metadata']['name']}")
        kept = self._objects.setdefault(plural, {})
        key = (body["metadata"]["namespace"], body["metadata"]["name"])
        kind = "MODIFIED" if key in kept else "ADDED"
        kept[key] = body
        self._tell(plural, kind, body)

    def remove(self, plural: str, namespace: str, name: str) -> None:
        """It is gone."""
        self._version += 1
        body = self._objects[plural].pop((namespace, name))
        body["metadata"]["resourceVersion"] = str(self._version)
        self._tell(plural, "DELETED", body)

    def _tell(self, plural: str, kind: str, body: Body) -> None:
        for wanted, query, queue in self._watches:
            if wanted == plural and _matches(body, query):
                queue.put_nowait({"type": kind, "object": body})

    # -- HTTP ------------------------------------------------------------------------------------

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path))
        if self.broken:
            return _status(503, "ServiceUnavailable", "broken")
        parts = request.path.strip("/").split("/")
        parts = parts[2:] if parts[0] == "api" else parts[3:]
        namespace = ""
        if parts[0] == "namespaces" and len(parts) > 2:
            namespace, parts = parts[1], parts[2:]
        if parts[0] in self.refused:
            return _status(self.refused[parts[0]], "Refused", f"{parts[0]} are refused")
        query = dict(request.query) | {"namespace": namespace}
        if request.method == "POST":
            return self._review(parts[0], await request.json())
        if len(parts) == 3 and parts[2] == "log":
            return self._log(parts[1], query)
        if len(parts) == 2:
            return self._get(parts[0], namespace, parts[1])
        if query.get("watch") == "true":
            return await self._watch(request, parts[0], query)
        return self._list(parts[0], query)

    def _get(self, plural: str, namespace: str, name: str) -> web.Response:
        body = self._objects.get(plural, {}).get((namespace, name))
        return _status(404, "NotFound", "not found") if body is None else web.json_response(body)

    def _list(self, plural: str, query: dict[str, str]) -> web.Response:
        items = [b for b in self._objects.get(plural, {}).values() if _matches(b, query)]
        metadata = {"resourceVersion": str(self._version)}
        start, limit = int(query.get("continue", 0)), int(query.get("limit", len(items)))
        if start + limit < len(items):
            metadata["continue"] = str(start + limit)
        items = items[start : start + limit]
        return web.json_response({"metadata": metadata, "items": items})

    async def _watch(
        self, request: web.Request, plural: str, query: dict[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        queue: asyncio.Queue[Body | None] = asyncio.Queue()
        entry = (plural, query, queue)
        self._watches.append(entry)
        since = int(query["resourceVersion"])
        for body in self._objects.get(plural, {}).values():  # between the list and now
            if int(body["metadata"]["resourceVersion"]) > since and _matches(body, query):
                queue.put_nowait({"type": "MODIFIED", "object": body})
        try:
            while (event := await queue.get()) is not None:
                await response.write(json.dumps(event).encode() + b"\n")
        finally:
            self._watches.remove(entry)
        return response

    def _log(self, pod: str, query: dict[str, str]) -> web.Response:
        if pod not in self.logs:
            return _status(400, "BadRequest", "container is waiting to start")
        lines = self.logs[pod].splitlines(keepends=True)
        return web.Response(body=b"".join(lines[-int(query["tailLines"]) :]))

    def _review(self, plural: str, body: Body) -> web.Response:
        self.reviews.append(body)
        if plural == "tokenreviews":
            person = self.people.get(body["spec"]["token"])
            user = {"username": person.name, "groups": ["people"]} if person else {}
            status = {"authenticated": person is not None, "user": user}
            return web.json_response({**body, "status": status}, status=201)
        spec, asked = body["spec"], body["spec"]["resourceAttributes"]
        rights = next(p.rights for p in self.people.values() if p.name == spec["user"])
        resource = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
        wanted = (asked["verb"], resource)
        namespace = asked.get("namespace", "*")
        allowed = {(*wanted, namespace), (*wanted, "*")} & rights
        return web.json_response({**body, "status": {"allowed": bool(allowed)}}, status=201)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["FakeApiServer"]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            for _, _, queue in self._watches:
                queue.put_nowait(None)
            await runner.cleanup()


def _matches(body: Body, query: dict[str, str]) -> bool:
    metadata = body["metadata"]
    if query["namespace"] not in ("", metadata["namespace"]):
        return False
    labels = metadata.get("labels") or {}
    for term in filter(None, query.get("labelSelector", "").split(",")):
        key, _, value = term.partition("=")
        if labels.get(key) != value:
            return False
    for term in filter(None, query.get("fieldSelector", "").split(",")):
        path, _, value = term.partition("=")
        found: Any = body
        for key in path.split("."):
            found = found.get(key, {})
        if found != value:
            return False
    return True


def _status(code: int, reason: str, message: str) -> web.Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return web.json_response(body, status=code)
