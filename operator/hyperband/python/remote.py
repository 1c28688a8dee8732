"""A study on a cluster, from Python."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from hyperband.api.archive import UnreadableArchiveError
from hyperband.api.orders import Word, end_of, obstacle
from hyperband.api.status import is_finished
from hyperband.backends.kubernetes.api_errors import KubernetesError, NotFound
from hyperband.backends.kubernetes.archives import read_trials
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.connection import NoConnectionError, connect
from hyperband.backends.kubernetes.objects import STUDIES, CustomObject
from hyperband.backends.kubernetes.people import (
    FIELD_MANAGER,
    IMPATIENT,
    is_missing_object,
    told,
)
from hyperband.backends.kubernetes.transport import Retry
from hyperband.core.errors import printable
from hyperband.python.loop import wait_for
from hyperband.python.problems import StudyError

T = TypeVar("T")
Body = dict[str, Any]
POLL_SECONDS: Final = 2.0
TOLD: Final = (NoConnectionError, KubernetesError, UnreadableArchiveError, msgspec.MsgspecError)


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace of a cluster, as kubectl's flags name them; None: that of the kubeconfig."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None

    def ask(
        self, work: Callable[[Client, str], Coroutine[Any, Any, T]], retry: Retry = IMPATIENT
    ) -> T:
        """Does work with a connection; it is given the namespace that is meant.

        Raises:
            StudyError: the cluster cannot be reached, or refuses.
        """

        async def within() -> T:
            connection = connect(self.kubeconfig, self.context)
            async with Client(connection, retry=retry) as client:
                return await work(client, self.namespace or connection.namespace)

        try:
            return wait_for(within)
        except TOLD as error:
            raise StudyError(told(error)) from error

    def studies(self, everywhere: bool) -> list[Body]:
        """The studies there, or in all namespaces, by namespace and name."""

        async def work(client: Client, namespace: str) -> list[Body]:
            pages = client.pages(STUDIES, dict, None if everywhere else namespace)
            return [body async for page in pages for body in page.items]

        found = self.ask(work)
        return sorted(found, key=lambda b: (b["metadata"]["namespace"], b["metadata"]["name"]))


@dataclass(frozen=True, slots=True)
class Remote:
    """One study of a cluster."""

    place: Place
    name: str

    def __str__(self) -> str:
        where = self.place.namespace
        return f"in namespace {where}" if where else "on a cluster"

    def study(self) -> Body:
        return self.place.ask(self._get)

    def read(self) -> tuple[Body, list[Body]]:
        body, items = self._all()
        return body, [msgspec.to_builtins(each) for each in items]

    def items(self) -> list[CustomObject]:
        return self._all()[1]

    def submit(self, body: Body) -> "Remote":
        """Creates it, or brings it up to date, as `hyperband submit` does.

        Returns:
            It, at the namespace that it is in.
        """

        async def work(client: Client, namespace: str) -> Body:
            after: Body = await client.apply(
                STUDIES, namespace, self.name, body, dict, field_manager=FIELD_MANAGER
            )
            return after

        after = self.place.ask(work)
        if is_finished(after.get("status") or {}):
            mend = "it stays so: give another name to run it anew"
            raise StudyError(f"study {self.name} is finished ({end_of(after)}): {mend}")
        place = Place(after["metadata"]["namespace"], self.place.context, self.place.kubeconfig)
        return Remote(place, self.name)

    def order(self, word: Word) -> None:
        """Says a person's word to it."""

        async def work(client: Client, namespace: str) -> None:
            body = await self._get(client, namespace)
            refused = obstacle(word, body)
            if refused:
                raise StudyError(printable(refused))
            if is_finished(body.get("status") or {}):
                return
            change = {"spec": {word.field: word.value}}
            await client.patch(
                STUDIES, namespace, self.name, change, dict, field_manager=FIELD_MANAGER
            )

        self.place.ask(work)

    def wait(self, timeout: float | None, show: Callable[[Mapping[str, Any]], None]) -> None:
        """Waits until it is over.

        Raises:
            TimeoutError: it is not, after so many seconds; it goes on.
        """
        deadline = None if timeout is None else time.monotonic() + timeout

        async def work(client: Client, namespace: str) -> bool:
            while True:
                body = await self._get(client, namespace)
                show(body)
                if is_finished(body.get("status") or {}):
                    return True
                if deadline is not None and time.monotonic() >= deadline:
                    return False
                await asyncio.sleep(POLL_SECONDS)

        if not self.place.ask(work, Retry()):  # an API server that is away is waited for
            mend = "it goes on; wait() waits again"
            raise TimeoutError(f"study {self.name} is not over after {timeout:g} s: {mend}")

    async def _get(self, client: Client, namespace: str) -> Body:
        try:
            body: Body = await client.get(STUDIES, namespace, self.name, dict)
            return body
        except NotFound as error:
            if not is_missing_object(error):
                raise
            said = f"there is no study '{printable(self.name)}' in namespace {namespace}"
            mend = "name its namespace; Study.list(all_namespaces=True) lists all"
            raise StudyError(f"{said}: {mend}") from error
        except ValueError as error:  # a name that would be no part of a path
            said = f"study '{printable(self.name)}' cannot be: give a name as kubectl get shows it"
            raise StudyError(said) from error

    def _all(self) -> tuple[Body, list[CustomObject]]:
        async def work(client: Client, namespace: str) -> tuple[Body, list[CustomObject]]:
            body = await self._get(client, namespace)
            parts = read_trials(client, namespace, self.name, body["metadata"]["uid"])
            return body, [item async for part in parts for item in part]

        body, items = self.place.ask(work)
        return body, sorted(items, key=lambda item: int(item.spec["index"]))
