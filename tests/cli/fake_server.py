"""A cluster in memory behind the command line: a study that a task of the operator has run."""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any, Self

import pytest
from typer.testing import CliRunner, Result

from hyperband.backends.kubernetes.api_errors import NotFound
from hyperband.backends.kubernetes.client import Page, PageMetadata
from hyperband.backends.kubernetes.connection import Connection
from hyperband.backends.kubernetes.objects import STUDIES, Kind
from hyperband.cli import cluster
from hyperband.cli.main import app
from tests.kubernetes.fake_cluster import NAMESPACE, Body, World, as_, study_body

PAGE = 2  # objects in one answer to a list


class Server:
    """What verbs ask of a client, answered from a world's objects."""

    def __init__(self, world: World) -> None:
        self.world, self.objects = world, world.client.objects
        self.fault: Callable[[str, str], None] = lambda verb, plural: None  # may raise
        self.asked: list[tuple[str, str]] = []  # verb, plural
        self.logs: dict[str, bytes] = {}  # by pod
        self.patched: list[tuple[str, Body, str]] = []  # name, change, field manager

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def _ask(self, verb: str, kind: Kind) -> None:
        self.asked.append((verb, kind.plural))
        self.fault(verb, kind.plural)

    async def get(self, kind: Kind, namespace: str, name: str, type_: Any) -> Any:
        self._ask("get", kind)
        body = self._found(kind, name)
        if body["metadata"]["namespace"] != namespace:
            raise _missing(name)
        return as_(body, type_)

    def _found(self, kind: Kind, name: str) -> Body:
        if (kind.plural, name) not in self.objects:
            raise _missing(name)
        return self.objects[kind.plural, name]

    async def pages(
        self,
        kind: Kind,
        type_: Any,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[Page[Any]]:
        self._ask("list", kind)
        bodies = [
            body
            for body in self.world.client.bodies(kind)
            if namespace in (None, body["metadata"]["namespace"])
            and all(_labelled(body, each) for each in label_selector.split(",") if each)
            and all(_is(body, each) for each in field_selector.split(",") if each)
        ]
        for first in range(0, len(bodies) or 1, PAGE):
            yield Page(PageMetadata("1"), [as_(b, type_) for b in bodies[first : first + PAGE]])

    async def patch(
        self, kind: Kind, namespace: str, name: str, body: Body, type_: Any, *, field_manager: str
    ) -> Any:
        self._ask("patch", kind)
        known = self._found(kind, name)
        self.patched.append((name, body, field_manager))
        known["spec"].update(body["spec"])
        return as_(known, type_)

    async def apply(
        self, kind: Kind, namespace: str, name: str, body: Body, type_: Any, *, field_manager: str
    ) -> Any:
        self._ask("apply", kind)
        known = self.objects.get((kind.plural, name))
        if known is None:
            made = copy.deepcopy(body)
            made["metadata"].setdefault("namespace", namespace)
            known = self.world.client.add(kind, made)
        elif known["spec"] != body["spec"]:
            known["spec"] = copy.deepcopy(body["spec"])
            self.world.client.touch(known)
        return as_(known, type_)

    async def log(
        self, namespace: str, pod: str, *, container: str | None = None, follow: bool = False
    ) -> AsyncIterator[bytes]:
        if pod not in self.logs:
            raise _missing(pod)
        yield self.logs[pod]

    @property
    def study(self) -> Body:
        return self.objects[STUDIES.plural, "s"]


def _missing(name: str) -> NotFound:
    return NotFound(404, "NotFound", f'"{name}" not found', details={"name": name})


def _labelled(body: Mapping[str, Any], term: str) -> bool:
    labels = body["metadata"].get("labels") or {}
    key, equals, value = term.partition("=")
    return key in labels and (not equals or labels[key] == value)


def _is(body: Mapping[str, Any], term: str) -> bool:
    """A field selector, `path=value` or `path!=value`."""
    path, equals, value = term.partition("!=") if "!=" in term else term.partition("=")
    found: Any = body
    for key in path.split("."):
        found = found.get(key, {}) if isinstance(found, Mapping) else {}
    return (found != value) if equals == "!=" else (found == value)


def world(steps: int = 200, **spec: Any) -> World:
    """A study that has gone on for so many steps of its task, or to its end."""
    made = World(study_body(**spec))

    async def go() -> None:
        for _ in range(steps):
            if made.condition("Finished") == "True":
                return
            await made.step()
            made.live()

    asyncio.run(go())
    return made


def serve(monkeypatch: pytest.MonkeyPatch, made: World) -> Server:
    """Verbs talk to that world from now on."""
    server = Server(made)
    monkeypatch.setattr(cluster, "connect", lambda *_: Connection("http://x", NAMESPACE))
    monkeypatch.setattr(cluster, "Client", lambda *_, **__: server)
    return server


def call(*words: str) -> Result:
    """`hyperband` with these words, where there is no terminal."""
    return CliRunner().invoke(app, list(words))
