"""The operator process: kopf for the studies, informers of our own for trials and pods."""

import asyncio
import logging
import signal
import time
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any

from hyperband.api import names
from hyperband.api.schema.policies import OPERATOR_NAMESPACE
from hyperband.backends.kubernetes.api_errors import Forbidden, NotFound
from hyperband.backends.kubernetes.breath import Breath
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.cluster import STATUSES_A_SECOND, Cluster
from hyperband.backends.kubernetes.connection import Connection
from hyperband.backends.kubernetes.election import Election, new_identity
from hyperband.backends.kubernetes.lease import Place, Terms
from hyperband.backends.kubernetes.objects import ARCHIVES, STUDIES, TRIALS, Object
from hyperband.backends.kubernetes.pace import Pace
from hyperband.backends.kubernetes.reign import Caches, Reign
from hyperband.backends.kubernetes.reigns import KINDS, Reigns
from hyperband.backends.kubernetes.shares import Shares
from hyperband.backends.kubernetes.sidecar import SIDECAR_IMAGE
from hyperband.backends.kubernetes.study_watch import StudyWatch
from hyperband.backends.kubernetes.tasks import begin, cancel
from hyperband.backends.kubernetes.telemetry.metrics import Metrics
from hyperband.backends.kubernetes.telemetry.process import of_process
from hyperband.backends.kubernetes.telemetry.server import Address, Probes, ended, serving
from hyperband.backends.kubernetes.transport import Retry
from hyperband.backends.kubernetes.workers import Pools

log = logging.getLogger(__name__)


async def run_operator(
    connection: Connection,
    *,
    namespaces: Collection[str],
    terms: Terms,
    lease_namespace: str = OPERATOR_NAMESPACE,
    listen: Address | None = None,
    sidecar_image: str = SIDECAR_IMAGE,
) -> None:
    """Runs until SIGINT or SIGTERM; works where it leads, and waits for its turn elsewhere.

    Args:
        namespaces: the only ones to watch; none for all.
        terms: of the Leases that elect one of several operators.
        lease_namespace: where operators for all namespaces have theirs.
        listen: where to serve probes and metrics, if anywhere.
        sidecar_image: of what reports for trainings that only write a file.

    Raises:
        CannotListenError: that address is taken.
        LookupError: the CRDs are not installed.
        KubernetesError: the API server could not be reached at the start.
    """
    metrics, stop = Metrics(), asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C, or the end of a pod
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    scopes: list[str | None] = [*sorted(set(namespaces))] or [None]
    pools, paces = Pools(metrics.fit_ended), (Pace(STATUSES_A_SECOND), Breath())
    clocks = (lambda: datetime.now(UTC), time.monotonic)

    def make_cluster(client: Client, caches: Caches) -> Cluster:
        shared = (*clocks, pools, metrics, sidecar_image, *paces)
        return Cluster(client, caches.pods, caches.trials, *shared)

    async with AsyncExitStack() as clients:

        async def connect(**settings: Any) -> Client:
            client = Client(connection, answered=metrics.request_answered, **settings)
            return await clients.enter_async_context(client)

        unfenced = await connect(retry=Retry(attempts=1))
        reigns, transports, shares = [], [unfenced], Shares(new_identity())
        for scope in scopes:
            election = _election(
                unfenced, scope, Place(lease_namespace, names.LEASE), terms, shares
            )
            client = await connect(fence=election.check)
            transports.append(client)
            await _check_installed(client, scope)
            reigns.append(Reign(scope, election, client, make_cluster, metrics))
        all_reigns = Reigns(reigns)
        watch = StudyWatch(connection, namespaces, all_reigns.manager)
        metrics.read_from(of_process(transports, all_reigns))
        where = " and ".join(filter(None, scopes)) or "all namespaces"
        log.info("watching %s at %s", where, connection.url)
        background = [begin(reign.run(), "lease", reign.scope) for reign in reigns]
        background += [begin(watch.run(), "watch"), begin(metrics.watch_lag(), "lag")]
        try:
            async with serving(listen, _probes(all_reigns, watch, metrics, background)):
                await stop.wait()
        finally:
            await cancel(*background)
            pools.close()
            log.info("stopped; studies stay as they are until an operator runs again")


def _election(
    client: Client, scope: str | None, everywhere: Place, terms: Terms, shares: Shares
) -> Election:
    """By one Lease for the operators of all namespaces, and one for those of each single one.

    An operator for some namespaces leaves its work to one for all, if that is there.
    """
    if scope is None:
        return Election(client, everywhere, terms, shares=shares)
    here = Place(scope, names.NAMESPACE_LEASE)
    return Election(client, here, terms, outranked_by=everywhere, shares=shares)


def _probes(
    reigns: Reigns, watch: StudyWatch, metrics: Metrics, background: Sequence[asyncio.Task[None]]
) -> Probes:
    """What is served: who lives and works, and the metrics.

    Trouble with the API server is no sign of death: a new process would have the same.
    """
    live = {task.get_name(): ended(task) for task in background}
    synced = {kind: partial(reigns.unsynced, kind) for kind in KINDS}
    return Probes(
        live={**live, "work": reigns.dead},
        ready={
            **synced,
            "studies": lambda: watch.trouble or reigns.not_working(),
            "leader": reigns.why_not_leading,
        },
        metrics=metrics.text,
    )


async def _check_installed(client: Client, namespace: str | None) -> None:
    for kind in (STUDIES, TRIALS, ARCHIVES):
        try:
            async for _ in client.pages(kind, Object, namespace, limit=1):
                break
        except NotFound as error:
            raise LookupError(
                f"the cluster knows no {kind.plural}.{kind.group}; "
                "install them: kubectl apply --server-side -f crds/"
            ) from error
        except Forbidden as error:
            if namespace is None:
                raise
            # As of a namespace that is gone: those beside it are none the worse for that.
            log.warning("namespace %s: %s", namespace, error)
