"""Viewers in a cluster: its own API server says who has sent a token, and what they may do.

Nothing is decided here: a token is put to a TokenReview, and each right to a SubjectAccessReview,
so that whatever authenticates and authorizes in the cluster, RBAC or not, holds for the page too.
Answers are kept for some seconds, as a page asks for much at once.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Final, Generic, TypeVar

from aiohttp import web

from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.objects import Kind
from hyperband.dashboard.access import Right, UnknownViewerError, Viewer, token_of

TOKEN_REVIEWS: Final = Kind("authentication.k8s.io", "v1", "tokenreviews", namespaced=False)
ACCESS_REVIEWS: Final = Kind("authorization.k8s.io", "v1", "subjectaccessreviews", namespaced=False)
KEPT: Final = 10.0  # seconds
MAX_KEPT: Final = 5000
AT_ONCE: Final = 16  # questions: those who only guess tokens shall not keep the server busy
T = TypeVar("T")


class _Kept(Generic[T]):
    """Answers to questions that are asked again and again; errors are not kept."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._found: dict[Hashable, tuple[float, asyncio.Task[T]]] = {}

    async def of(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        now = self._clock()
        known = self._found.get(key)
        if known is None or known[0] <= now or _failed(known[1]):
            self._make_room(now)
            known = self._found[key] = (now + KEPT, asyncio.create_task(ask()))
        return await asyncio.shield(known[1])

    def _make_room(self, now: float) -> None:
        if len(self._found) >= MAX_KEPT:
            self._found = {key: each for key, each in self._found.items() if each[0] > now}
        while len(self._found) >= MAX_KEPT:
            del self._found[next(iter(self._found))]


def _failed(task: "asyncio.Task[Any]") -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


class Reviewed:
    """Access as the API server decides it."""

    mode = "cluster"
    asks_as_viewer = False

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._viewers: _Kept[Viewer | None] = _Kept(clock)
        self._rights: _Kept[bool] = _Kept(clock)
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def viewer(self, request: web.Request) -> Viewer:
        token = token_of(request)
        key = hashlib.sha256(token.encode()).digest()  # the tokens themselves are not kept
        found = await self._viewers.of(key, lambda: self._who(token))
        if found is None:
            mend = "make a new one: kubectl create token ACCOUNT -n NAMESPACE"
            raise UnknownViewerError(f"the cluster does not know this token, or no more: {mend}")
        return found

    async def may(self, viewer: Viewer, right: Right) -> bool:
        return await self._rights.of((viewer, right), lambda: self._allowed(viewer, right))

    async def _who(self, token: str) -> Viewer | None:
        status = await self._ask(TOKEN_REVIEWS, "TokenReview", {"token": token})
        user = status.get("user") or {}
        if status.get("authenticated") is not True or not user.get("username"):
            return None
        extra = sorted((key, tuple(each)) for key, each in (user.get("extra") or {}).items())
        groups = tuple(user.get("groups") or ())
        return Viewer(user["username"], user.get("uid", ""), groups, tuple(extra))

    async def _allowed(self, viewer: Viewer, right: Right) -> bool:
        attributes = {
            "verb": right.verb,
            "group": right.group,
            "resource": right.resource,
            "namespace": right.namespace,
            "name": right.name,
            "subresource": right.subresource,
        }
        spec = {
            "user": viewer.name,
            "uid": viewer.uid,
            "groups": list(viewer.groups),
            "extra": {key: list(values) for key, values in viewer.extra},
            "resourceAttributes": {key: value for key, value in attributes.items() if value},
        }
        status = await self._ask(ACCESS_REVIEWS, "SubjectAccessReview", spec)
        return status.get("allowed") is True and status.get("denied") is not True

    async def _ask(self, kind: Kind, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        body = {"apiVersion": f"{kind.group}/{kind.version}", "kind": name, "spec": spec}
        async with self._slots:
            answer = await self._client.create_review(kind, body)
        found: dict[str, Any] = answer.get("status") or {}
        return found
