"""One scope of studies, a namespace or all of them: its Lease, its caches and its studies' tasks.

Each scope has one of its own, and a client whose fence is its own Lease: what is taken up, given
away or lost in one of them is nothing to the others.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from hyperband.api import names
from hyperband.backends.kubernetes.api_errors import KubernetesError
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.election import Election
from hyperband.backends.kubernetes.informer import Change, Informer
from hyperband.backends.kubernetes.manager import Manager
from hyperband.backends.kubernetes.objects import ARCHIVES, PODS, STUDIES, TRIALS, Object, Pod
from hyperband.backends.kubernetes.study_pods import owner_key
from hyperband.backends.kubernetes.tasks import begin, cancel
from hyperband.backends.kubernetes.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

PAUSE_SECONDS = 2.0  # before studies that could not be listed are asked for again


class Caches:
    """What is known of a scope's pods, trials and archives, and the tasks that keep it up."""

    def __init__(
        self, client: Client, manager: Manager, metrics: Metrics, scope: str | None
    ) -> None:
        def pod_changed(change: Change, old: Pod | None, new: Pod | None) -> None:
            metrics.pods.see(old, new)
            manager.pod_changed(change, old, new)

        self.pods = Informer(
            client,
            PODS,
            Pod,
            namespace=scope,
            label_selector=names.STUDY_LABEL,
            on_change=pod_changed,
            index=owner_key,
        )
        self.trials = Informer(
            client,
            TRIALS,
            Object,
            namespace=scope,
            on_change=manager.trial_changed,
            index=owner_key,
        )
        self.archives = Informer(
            client, ARCHIVES, Object, namespace=scope, on_change=manager.archive_changed
        )
        self.all: tuple[Informer[Any], ...] = (self.pods, self.trials, self.archives)
        self.tasks = [begin(each.run(), each.kind.plural, scope) for each in self.all]

    async def synced(self) -> None:
        """Waits until everything is listed."""
        await asyncio.gather(*(each.synced.wait() for each in self.all))

    async def end(self) -> None:
        await cancel(*self.tasks)
        self.pods.clear()  # metrics count them


class Reign:
    """Works on the studies of one scope whenever this process has its Lease.

    Args:
        client: whose fence is the election's.
        make_cluster: what studies share, around the caches.
    """

    def __init__(
        self,
        scope: str | None,
        election: Election,
        client: Client,
        make_cluster: Callable[[Client, Caches], Cluster],
        metrics: Metrics,
    ) -> None:
        self.scope, self.election, self.manager = scope, election, Manager(scope)
        self._client, self._make_cluster, self._metrics = client, make_cluster, metrics
        self._caches: Caches | None = None
        self._work: asyncio.Task[None] | None = None
        self._listed = False

    @property
    def informers(self) -> Sequence[Informer[Any]]:
        """Those that run now."""
        return () if self._caches is None else self._caches.all

    def why_not_working(self) -> str:
        """In words, where this process leads and has not yet begun; else empty."""
        waits = self.election.leading and not self._listed
        return f"those of {self.scope or 'all namespaces'} are not listed yet" if waits else ""

    def dead(self) -> str:
        """Which task has ended that should never do so by itself, if any."""
        tasks = [] if self._caches is None else list(self._caches.tasks)
        if self._work is not None:
            tasks.append(self._work)
        ended = [task.get_name() for task in tasks if task.done() and not task.cancelled()]
        return f"the task {ended[0]} has ended" if ended else ""

    async def run(self) -> None:
        """Until it is cancelled; gives the Lease back then."""
        try:
            while True:
                await self.election.acquire()
                await self._lead()
        finally:
            await self._drop()
            await self.election.release()

    async def _lead(self) -> None:
        """Works for as long as the Lease is held."""
        given_away = False
        self._work = begin(self._work_on_studies(), "studies", self.scope)
        try:
            given_away = await self.election.hold()
        finally:
            await cancel(self._work)
            self._work, self._listed = None, False
            await self.manager.stop()
            await self._drop()
        if given_away:
            await self.election.release()

    async def _work_on_studies(self) -> None:
        # Not before the Lease is held: memory is used where it is, and what is listed now has all
        # that whoever held it before can have acted on.
        self._caches = caches = Caches(self._client, self.manager, self._metrics, self.scope)
        await caches.synced()
        self.manager.start(self._make_cluster(self._client, caches))
        await self._list_studies()
        self._listed = True
        await self.manager.audit(self._client)

    async def _list_studies(self) -> None:
        """All that are there now: what the watch has told may be old, or from before this reign."""
        while True:
            try:
                async for page in self._client.pages(STUDIES, dict[str, Any], self.scope):
                    for body in page.items:
                        self.manager.study_seen(body)
            except KubernetesError as error:
                log.warning("the studies could not be listed, trying again: %s", error)
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                return

    async def _drop(self) -> None:
        caches, self._caches = self._caches, None
        if caches is not None:
            await caches.end()
