"""An API server in memory: what the operator's calls do, and what its watches tell.

It promises what a real one does at these points: resourceVersions as preconditions, a status that
only its subresource changes, names that exist once, pods that stay while they end, events after a
resourceVersion or 410. Errors are raised as the exceptions that the operator's client makes of
them.
"""

import asyncio
import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from hyperband.backends.kubernetes.api_errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Gone,
    NotFound,
)
from hyperband.backends.kubernetes.objects import ARCHIVES, PODS, TRIALS, Kind
from hyperband.backends.kubernetes.transport import Call
from tests.chaos.clock import START

PAGE = 5  # objects in one answer to a list
GRACE = timedelta(seconds=30)
Body = dict[str, Any]


class Server:
    """The objects of one namespace.

    Attributes:
        revision: of the last change.
        created: called with each pod that comes.
        removed: called with the kind of each object that goes, and the object.
        landed: called with each pod that a dead operator's call has made.
        written: called with each trial whose status was written.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._objects: dict[tuple[str, str], Body] = {}
        self._events: list[tuple[int, str, str, Body]] = []  # revision, type, plural, object
        self._pages: dict[str, tuple[int, list[Body]]] = {}  # by continue token: what is left
        self.revision = self._tokens = 0
        self._changed = asyncio.Event()
        self.forgotten = 0  # a watch cannot begin before this revision
        self.hidden_until = 0.0
        self.refused_until: dict[str, float] = {}  # by name of the object that is written
        self.created: Callable[[Body], None] = lambda _: None
        self.written: Callable[[Body], None] = lambda _: None
        self.removed: Callable[[Kind, Body], None] = lambda *_: None
        self.landed: Callable[[Body], None] = lambda _: None

    # -- for the world around the operator ------------------------------------------------------

    def bodies(self, kind: Kind) -> list[Body]:
        """The objects themselves; whoever changes one says so with `touch`."""
        return [body for (plural, _), body in self._objects.items() if plural == kind.plural]

    def find(self, kind: Kind, name: str) -> Body | None:
        return self._objects.get((kind.plural, name))

    def add(self, kind: Kind, body: Body) -> Body:
        """A new object.

        Raises:
            AlreadyExists: one of that name is there.
        """
        body = json.loads(json.dumps(body))
        metadata = body["metadata"]
        if (kind.plural, metadata["name"]) in self._objects:
            raise AlreadyExists(409, "AlreadyExists", f"{metadata['name']} already exists")
        metadata |= {"uid": f"uid-{self.revision + 1}", "generation": 1}
        metadata["creationTimestamp"] = self._now().isoformat()
        body.pop("status", None)
        self._objects[kind.plural, metadata["name"]] = body
        self._tell("ADDED", kind, body)
        return body

    def touch(self, kind: Kind, body: Body) -> None:
        """The object has changed."""
        self._tell("MODIFIED", kind, body)

    def remove(self, kind: Kind, name: str) -> None:
        """The object is gone."""
        body = self._objects.pop((kind.plural, name))
        self.removed(kind, body)
        self._tell("DELETED", kind, body)

    def end(self, pod: Body) -> None:
        """Asks for a pod's deletion, as anybody may; one that has no node goes at once."""
        if not pod["spec"].get("nodeName"):
            self.remove(PODS, pod["metadata"]["name"])
        elif "deletionTimestamp" not in pod["metadata"]:
            pod["metadata"]["deletionTimestamp"] = (self._now() + GRACE).isoformat()
            self.touch(PODS, pod)

    def left(self) -> list[str]:
        """The names of all objects, but for events."""
        return [name for plural, name in self._objects if plural != "events"]

    def collect(self) -> None:
        """The garbage collector: what has lost its owner is deleted."""
        uids = {body["metadata"]["uid"] for body in self._objects.values()}
        for kind in (TRIALS, ARCHIVES, PODS):
            for body in self.bodies(kind):
                owners = {owner["uid"] for owner in body["metadata"].get("ownerReferences", ())}
                if not owners or owners & uids:
                    continue
                if kind is PODS:
                    self.end(body)
                else:
                    self.remove(kind, body["metadata"]["name"])

    def forget(self) -> None:
        """Watches that begin from the past are told 410 from now on."""
        self.forgotten = self.revision

    def refuses(self, name: str) -> bool:
        """Whether writes of this object are refused just now."""
        return self._now() < START + timedelta(seconds=self.refused_until.get(name, 0.0))

    def _tell(self, type_: str, kind: Kind, body: Body) -> None:
        self.revision += 1
        body["metadata"]["resourceVersion"] = str(self.revision)
        self._events.append((self.revision, type_, kind.plural, copy.deepcopy(body)))
        self._changed.set()
        self._changed = asyncio.Event()

    # -- for the operator's calls ------------------------------------------------------------------

    def answer(self, call: Call) -> bytes:
        """Carries out any call but a watch.

        Raises:
            ApiError: it is refused.
        """
        return json.dumps(getattr(self, f"_{call.verb}")(call)).encode()

    def land(self, call: Call) -> None:
        """Carries out what a dead operator had sent."""
        with suppress(ApiError):
            self.answer(call)
            if call.verb == "create" and call.kind is PODS and call.body is not None:
                self.landed(self._objects[PODS.plural, call.body["metadata"]["name"]])

    def _get(self, call: Call) -> Body:
        return self._known(call)

    def _list(self, call: Call) -> Body:
        query = dict(call.query or {})
        if token := query.get("continue"):
            revision, left = self._pages.pop(token)
        else:
            revision = self.revision
            left = copy.deepcopy([b for b in self.bodies(call.kind) if _selected(b, query)])
        metadata = {"resourceVersion": str(revision)}
        if left[PAGE:]:
            self._tokens += 1
            metadata["continue"] = str(self._tokens)
            self._pages[metadata["continue"]] = (revision, left[PAGE:])
        return {"metadata": metadata, "items": left[:PAGE]}

    def _create(self, call: Call) -> Body:
        assert call.body is not None
        if not call.body.get("metadata", {}).get("name"):  # a review: a question, not an object
            return {**call.body, "status": {"allowed": True}}
        if (call.query or {}).get("dryRun"):
            metadata = {**call.body["metadata"], "uid": "none"}
            return {**call.body, "metadata": metadata}
        body = self.add(call.kind, dict(call.body))
        if call.kind is PODS:
            self.created(body)
        return body

    def _update(self, call: Call) -> Body:
        known, given = self._known(call), json.loads(json.dumps(call.body))
        assert call.subresource == "status"
        if known["metadata"]["resourceVersion"] != given["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", "the object has been modified")
        if known.get("status") != given["status"]:
            known["status"] = given["status"]
            self.touch(call.kind, known)
            if call.kind is TRIALS:
                self.written(known)
        return known

    def _patch(self, call: Call) -> Body:
        known, given = self._known(call), json.loads(json.dumps(call.body))
        metadata = given.get("metadata", {})
        wanted = metadata.pop("resourceVersion", None)
        if wanted not in (None, known["metadata"]["resourceVersion"]):
            raise Conflict(409, "Conflict", "the object has been modified")
        if metadata.pop("uid", None) not in (None, known["metadata"]["uid"]):
            raise Conflict(409, "Conflict", "the uid in the precondition is another one")
        merge(known, given)
        self.touch(call.kind, known)
        return known

    def _delete(self, call: Call) -> Body:
        known, wanted = self._known(call), (call.body or {}).get("preconditions", {})
        for key, value in wanted.items():
            if value != known["metadata"][key]:
                raise Conflict(409, "Conflict", f"the {key} in the precondition is another one")
        if call.kind is PODS:
            self.end(known)
        else:
            self.remove(call.kind, known["metadata"]["name"])
        return known

    def _known(self, call: Call) -> Body:
        body = self._objects.get((call.kind.plural, call.name or ""))
        if body is None:
            raise NotFound(404, "NotFound", f"{call.name} not found")
        return body

    # -- for its watches -------------------------------------------------------------------------

    def after(self, revision: int, call: Call) -> Iterator[tuple[int, bytes]]:
        """The events of a watch after a revision, as lines with their own revisions.

        Raises:
            Gone: they are forgotten.
        """
        if revision < self.forgotten:
            raise Gone(410, "Expired", f"too old resource version: {revision}")
        for number, type_, plural, body in self._events:
            told = number > revision and plural == call.kind.plural
            if told and _selected(body, dict(call.query or {})):
                yield number, json.dumps({"type": type_, "object": body}).encode()

    async def news(self) -> None:
        """Waits until something has changed."""
        await self._changed.wait()


def bookmark(revision: int) -> bytes:
    """Tells that a watch has told everything up to this revision."""
    metadata = {"resourceVersion": str(revision)}
    return json.dumps({"type": "BOOKMARK", "object": {"metadata": metadata}}).encode()


def merge(known: Body, given: Body) -> None:
    """A JSON merge patch."""
    for key, value in given.items():
        if value is None:
            known.pop(key, None)
        elif isinstance(value, dict) and isinstance(known.get(key), dict):
            merge(known[key], value)
        else:
            known[key] = value


def _selected(body: Body, query: dict[str, str]) -> bool:
    """Whether the object has the label that the request selects by."""
    key, _, value = query.get("labelSelector", "").partition("=")
    labels = body["metadata"].get("labels", {})
    return not key or (key in labels and value in ("", labels[key]))
