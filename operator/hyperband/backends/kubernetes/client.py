"""The verbs of the Kubernetes API as typed coroutines.

What comes back is decoded into the type that the caller names: one of `objects`' structs, or
`dict` for the raw object. See `transport` for what is repeated, and what that means for callers.
"""

from collections.abc import AsyncGenerator, Mapping
from functools import cache
from typing import Any, Generic, Literal, TypeVar

import msgspec

from hyperband.backends.kubernetes.objects import PODS, Kind, Object
from hyperband.backends.kubernetes.transport import Call, Transport

T = TypeVar("T")
FieldValidation = Literal["Strict", "Warn", "Ignore"]

MERGE_PATCH = "application/merge-patch+json"
FIELD_MANAGER = "hyperband-operator"
PAGE_SIZE = 500
APPLY_PATCH = "application/apply-patch+yaml"  # JSON is YAML
SILENT_SECONDS = 4 * 3600.0  # of a training's log: so long a kubelet keeps its stream open


class PageMetadata(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A part of a list; all its parts show the state at one resourceVersion."""

    metadata: PageMetadata
    items: list[T]


class _Answer(msgspec.Struct, Generic[T], frozen=True):
    metadata: PageMetadata
    items: list[T] | None  # null where a list of nothing but metadata is empty


@cache
def decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    """One decoder for each type: making one costs more than decoding a pod."""
    return msgspec.json.Decoder(type_)


class Client(Transport):
    """Requests to one API server: `async with Client(connect()) as client`.

    Every method raises ApiError for what the server refuses (its subclass says which), Unreachable
    where no answer came, and msgspec.DecodeError for an answer that is not of the wanted type.
    JSON has no NaN or infinity: in a body they silently become null, so keep them out.
    """

    async def get(self, kind: Kind, namespace: str | None, name: str, type_: type[T]) -> T:
        """Read one object."""
        return _decode(await self.send(Call("get", kind, namespace, name)), type_)

    async def pages(
        self,
        kind: Kind,
        type_: type[T],
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        limit: int = PAGE_SIZE,
    ) -> AsyncGenerator[Page[T], None]:
        """List objects page by page; without a namespace, those of all.

        With `Object` for a type, all but metadata is left out at the server.

        Raises:
            Gone: the pages took so long that their common state is forgotten; begin again.
        """
        query = {"limit": str(limit), **_selector(label_selector)}
        if field_selector:
            query["fieldSelector"] = field_selector
        while True:
            call = Call("list", kind, namespace, query=query, metadata_only=type_ is Object)
            body = await self.send(call)
            answer: _Answer[T] = decoder(_Answer[type_]).decode(body)  # type: ignore[valid-type]
            yield Page(answer.metadata, answer.items or [])
            if not answer.metadata.continue_:
                return
            query = {**query, "continue": answer.metadata.continue_}

    def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        resource_version: str,
        seconds: int,
        margin: float,
        label_selector: str | None = None,
        metadata_only: bool = False,
    ) -> AsyncGenerator[bytes, None]:
        """The events after a resourceVersion, one undecoded line each, with bookmarks.

        The server ends the stream after `seconds`; `margin` seconds later a silent one is dead.

        Raises:
            Gone: list again. The same may come as an ERROR event in the stream.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(seconds),
            **_selector(label_selector),
        }
        call = Call("watch", kind, namespace, query=query, metadata_only=metadata_only)
        return self.lines(call, seconds + margin)

    async def create(
        self,
        kind: Kind,
        namespace: str | None,
        body: Mapping[str, Any],
        type_: type[T],
        *,
        dry_run: bool = False,
        field_validation: FieldValidation | None = None,
    ) -> T:
        """Create an object. One without a name is not tried again after an unknown result.

        Raises:
            AlreadyExists: also after an earlier try of this call that worked unseen.
            Conflict: others are using up the same resource quota just now.
        """
        query = {"fieldManager": FIELD_MANAGER}
        if dry_run:
            query["dryRun"] = "All"
        if field_validation:
            query["fieldValidation"] = field_validation
        repeatable = dry_run or bool(body.get("metadata", {}).get("name"))
        call = Call("create", kind, namespace, query=query, body=body, repeatable=repeatable)
        return _decode(await self.send(call), type_)

    async def create_review(
        self, kind: Kind, body: Mapping[str, Any], namespace: str | None = None
    ) -> dict[str, Any]:
        """Ask a question that is put as an object and not kept, as a SubjectAccessReview is."""
        answer: dict[str, Any] = _decode(
            await self.send(Call("create", kind, namespace, body=body)), dict
        )
        return answer

    async def patch(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        body: Mapping[str, Any],
        type_: type[T],
        *,
        resource_version: str | None = None,
        field_manager: str = FIELD_MANAGER,
    ) -> T:
        """Merge patch: maps are merged, lists are replaced, None removes a key.

        Raises:
            Conflict: the object is not at `resource_version`, if given, any more.
        """
        if resource_version is not None:
            metadata = {**body.get("metadata", {}), "resourceVersion": resource_version}
            body = {**body, "metadata": metadata}
        query = {"fieldManager": field_manager}
        call = Call("patch", kind, namespace, name, None, query, body, MERGE_PATCH)
        return _decode(await self.send(call), type_)

    async def apply(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        body: Mapping[str, Any],
        type_: type[T],
        *,
        field_manager: str,
    ) -> T:
        """Server-side apply of all fields that `field_manager` wants, also those of others.

        Fields that it wanted the last time and does not any more are removed, unless others want
        them too. Unknown and doubled fields are refused.
        """
        query = {"fieldManager": field_manager, "force": "true", "fieldValidation": "Strict"}
        call = Call("patch", kind, namespace, name, None, query, body, APPLY_PATCH)
        return _decode(await self.send(call), type_)

    def log(
        self,
        namespace: str,
        pod: str,
        *,
        container: str | None = None,
        follow: bool = False,
        tail: int | None = None,
    ) -> AsyncGenerator[bytes, None]:
        """What a container has written, in pieces of any length; to its end if it is followed.

        Args:
            tail: so many lines of it, the last ones.
        """
        query = {"follow": "true"} if follow else {}
        if tail is not None:
            query["tailLines"] = str(tail)
        if container:
            query["container"] = container
        call = Call("get", PODS, namespace, pod, "log", query=query)
        return self.chunks(call, SILENT_SECONDS)

    async def replace_status(
        self, kind: Kind, namespace: str | None, name: str, body: Mapping[str, Any], type_: type[T]
    ) -> T:
        """Replace the status by that of `body`, a whole object with its resourceVersion.

        Raises:
            ValueError: body has no resourceVersion, so that others' changes would be lost.
            Conflict: the object is at another one: read it and decide again.
        """
        if not body.get("metadata", {}).get("resourceVersion"):
            raise ValueError(f"{kind.plural} {name}: the body has no metadata.resourceVersion")
        query = {"fieldManager": FIELD_MANAGER}
        call = Call("update", kind, namespace, name, "status", query, body)
        return _decode(await self.send(call), type_)

    async def delete(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_period_seconds: int | None = None,
    ) -> None:
        """Ask for the deletion of an object, which may take its time.

        Raises:
            NotFound: it is gone already.
            Conflict: the object of that name has another uid, or is not at `resource_version`.
        """
        body = _delete_options(uid, resource_version, grace_period_seconds)
        await self.send(Call("delete", kind, namespace, name, body=body))


def _decode(body: bytes, type_: type[T]) -> T:
    wanted: Any = type_
    decoded: T = decoder(wanted).decode(body)
    return decoded


def _selector(label: str | None) -> dict[str, str]:
    return {"labelSelector": label} if label else {}


def _delete_options(
    uid: str | None, resource_version: str | None, grace: int | None
) -> dict[str, Any]:
    options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
    given = {"uid": uid, "resourceVersion": resource_version}
    conditions = {key: value for key, value in given.items() if value is not None}
    if conditions:
        options["preconditions"] = conditions
    if grace is not None:
        options["gracePeriodSeconds"] = grace
    return options
