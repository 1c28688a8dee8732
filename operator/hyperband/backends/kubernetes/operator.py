"""The operator process: kopf for the studies, informers of our own for trials and pods."""

import asyncio
import logging
import signal
import time
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import aiohttp
import kopf

from hyperband.api import names
from hyperband.api.schema.policies import OPERATOR_NAMESPACE
from hyperband.backends.kubernetes.api_errors import NotFound
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.cluster import STATUSES_A_SECOND, Cluster
from hyperband.backends.kubernetes.connection import Connection
from hyperband.backends.kubernetes.elections import Elections
from hyperband.backends.kubernetes.informer import Change, Informer
from hyperband.backends.kubernetes.lease import Election, Place, Terms, new_identity
from hyperband.backends.kubernetes.manager import Manager
from hyperband.backends.kubernetes.objects import ARCHIVES, PODS, STUDIES, TRIALS, Object, Pod
from hyperband.backends.kubernetes.pace import Pace
from hyperband.backends.kubernetes.sidecar import SIDECAR_IMAGE
from hyperband.backends.kubernetes.study_pods import owner_key
from hyperband.backends.kubernetes.telemetry.metrics import Metrics
from hyperband.backends.kubernetes.telemetry.process import of_process
from hyperband.backends.kubernetes.telemetry.server import (
    Address,
    Check,
    Probes,
    ended,
    serving,
)
from hyperband.backends.kubernetes.transport import Retry
from hyperband.backends.kubernetes.workers import Pools

log = logging.getLogger(__name__)

KOPF_PAUSE_SECONDS = 2.0


def registry(
    manager: Manager, connection: Connection, stop: asyncio.Event
) -> kopf.OperatorRegistry:
    """kopf's handlers. They only pass news on: nothing is written to studies by kopf itself."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.startup(registry=handlers)
    async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        manager.trouble = ""
        # In place of kopf's own handlers, which come a moment later and fail at a second signal.
        asyncio.get_running_loop().call_soon(stop_on_signals, stop)
        settings.posting.enabled = False  # our recorder counts events instead
        settings.scanning.disabled = True  # the CRDs are there; two watches less
        settings.watching.server_timeout = 270

    @kopf.on.cleanup(registry=handlers)
    async def cleanup(**_: Any) -> None:
        await manager.stop()  # kopf would wait for the studies' tasks, which never end

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(
            server=connection.url,
            aiohttp_session=_session(connection),
            default_namespace=connection.namespace,
        )

    @kopf.on.event(names.GROUP, names.VERSION, names.STUDY_PLURAL, registry=handlers)
    async def study(type: str | None, body: Mapping[str, Any], **_: Any) -> None:
        # kopf's body is a live view of its own; a study's task keeps what it was told.
        plain = dict(body)
        metadata = plain["metadata"]
        if type == "DELETED":
            manager.study_gone(metadata["namespace"], metadata["name"], metadata["uid"])
        else:
            manager.study_seen(plain)

    return handlers


def _session(connection: Connection) -> aiohttp.ClientSession:
    """A session for kopf with the settings and the credentials that our own client uses."""

    async def authenticate(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        request.headers.update(await connection.headers())
        if connection.server_name:
            request.server_hostname = connection.server_name
        return await handler(request)

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=connection.tls or False),
        middlewares=(authenticate,),
        proxy=connection.proxy,
    )


def stop_on_signals(stop: asyncio.Event) -> None:
    """Ctrl-C, or the end of a pod."""
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)


async def run_operator(
    connection: Connection,
    *,
    namespaces: Collection[str],
    terms: Terms,
    lease_namespace: str = OPERATOR_NAMESPACE,
    listen: Address | None = None,
    sidecar_image: str = SIDECAR_IMAGE,
) -> None:
    """Runs until SIGINT or SIGTERM; works while it leads, and waits for its turn otherwise.

    Args:
        namespaces: the only ones to watch; none for all.
        terms: of the Lease that elects one of several operators.
        lease_namespace: where operators for all namespaces have theirs.
        listen: where to serve probes and metrics, if anywhere.
        sidecar_image: of what reports for trainings that only write a file.

    Raises:
        CannotListenError: that address is taken.
        LookupError: the CRDs are not installed.
        KubernetesError: the API server could not be reached at the start.
    """
    manager, metrics, stop = Manager(), Metrics(), asyncio.Event()
    stop_on_signals(stop)
    answered = metrics.request_answered
    async with Client(connection, retry=Retry(attempts=1), answered=answered) as unfenced:
        election = _election(unfenced, namespaces, Place(lease_namespace, names.LEASE), terms)
        async with Client(connection, fence=election.check, answered=answered) as client:
            scopes: list[str | None] = [*sorted(set(namespaces))] or [None]
            for scope in scopes:
                await _check_installed(client, scope)
            pools, statuses = Pools(metrics.fit_ended), Pace(STATUSES_A_SECOND)
            clocks = (lambda: datetime.now(UTC), time.monotonic)
            background: list[asyncio.Task[None]] = []
            caches: dict[str, list[Informer[Any]]] = {}
            # Also while another process leads, so that this one begins at once when it may.
            for scope in scopes:
                pods, trials, archives = _informers(client, manager, metrics, scope)
                shared = (*clocks, pools, metrics, sidecar_image, statuses)
                cluster = Cluster(client, pods, trials, *shared)
                manager.start(cluster, scope)
                for informer in (pods, trials, archives):
                    resource = informer.kind.plural
                    caches.setdefault(resource, []).append(informer)
                    background.append(_begin(informer.run(), resource, scope))
                background.append(_begin(manager.audit(client, scope), "audit", scope))
            background.append(_begin(metrics.watch_lag(), "lag"))
            clients = (client, unfenced)
            metrics.read_from(
                of_process(clients, caches, manager.waiting, lambda: election.leading)
            )
            probes = _probes(manager, metrics, election, caches, background)
            where = " and ".join(filter(None, scopes)) or "all namespaces"
            log.info("watching %s at %s", where, connection.url)
            try:
                async with serving(listen, probes):
                    while not stop.is_set():
                        synced = (each.synced for group in caches.values() for each in group)
                        await _first(stop.wait(), _all(*synced))
                        await _first(stop.wait(), election.acquire())
                        if not stop.is_set():
                            await _reign(manager, connection, namespaces, election, stop)
            finally:
                await manager.stop()
                pools.close()
                await _cancel(*background)
                await election.release()
                log.info("stopped; studies stay as they are until an operator runs again")


def _begin(
    work: Coroutine[Any, Any, None], name: str, scope: str | None = None
) -> asyncio.Task[None]:
    """A task that is named after what it does and, if that is one of several, the namespace."""
    return asyncio.create_task(work, name=name if scope is None else f"{name}-{scope}")


def _informers(
    client: Client, manager: Manager, metrics: Metrics, namespace: str | None
) -> tuple[Informer[Pod], Informer[Object], Informer[Object]]:
    """Of pods, trials and archives, in one namespace or in all."""

    def pod_changed(change: Change, old: Pod | None, new: Pod | None) -> None:
        metrics.pods.see(old, new)
        manager.pod_changed(change, old, new)

    pods = Informer(
        client,
        PODS,
        Pod,
        namespace=namespace,
        label_selector=names.STUDY_LABEL,
        on_change=pod_changed,
        index=owner_key,
    )
    trials = Informer(
        client,
        TRIALS,
        Object,
        namespace=namespace,
        on_change=manager.trial_changed,
        index=owner_key,
    )
    archives = Informer(
        client, ARCHIVES, Object, namespace=namespace, on_change=manager.archive_changed
    )
    return pods, trials, archives


def _election(
    client: Client, namespaces: Collection[str], everywhere: Place, terms: Terms
) -> Election | Elections:
    """One Lease for the operators of all namespaces, and one for those of each single one.

    An operator for some namespaces leaves its work to one for all, if that is there.
    """
    if not namespaces:
        return Election(client, everywhere, terms)
    return Elections(
        Election(client, Place(each, names.NAMESPACE_LEASE), terms, outranked_by=everywhere)
        for each in set(namespaces)
    )


async def _reign(
    manager: Manager,
    connection: Connection,
    namespaces: Collection[str],
    election: Election | Elections,
    stop: asyncio.Event,
) -> None:
    """Runs the studies for as long as this process leads, or until a signal."""
    over = asyncio.Event()
    # Before kopf: it cancels at its end every task that was created after its start.
    ends = [
        asyncio.create_task(stop.wait(), name="stop"),
        asyncio.create_task(election.hold(), name="lease"),
    ]
    for end in ends:
        end.add_done_callback(lambda _: over.set())
    try:
        while not over.is_set():
            await _run_kopf(manager, connection, namespaces, over, stop)
    finally:
        await _cancel(*ends)
        manager.trouble = ""  # one that does not lead has no studies to watch


async def _run_kopf(
    manager: Manager,
    connection: Connection,
    namespaces: Collection[str],
    over: asyncio.Event,
    stop: asyncio.Event,
) -> None:
    """Runs kopf until it is over, or until kopf gives up, when errors outlast its retries.

    With kopf end the studies' tasks, which were created while it ran. Nothing is lost by that: the
    next run lists the studies and takes them up again.
    """
    identity: Any = new_identity()  # else kopf asks for the user's name, and a container's has none
    try:
        await kopf.operator(
            registry=registry(manager, connection, stop),
            identity=identity,
            standalone=True,
            stop_flag=over,
            clusterwide=not namespaces,
            namespaces=list(namespaces),
        )
    except Exception as error:  # whatever it was, giving up is not ours to do
        manager.trouble = f"watching them has ended: {error}"
        log.warning("watching the studies has ended, beginning again: %s", error)
    else:
        if not over.is_set():  # a signal came before our handlers were in place
            stop.set()
    finally:
        await manager.stop()  # kopf does not always come to its cleanup
        stop_on_signals(stop)  # kopf's own handlers were there for a moment
    if not over.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(KOPF_PAUSE_SECONDS):
                await over.wait()


def _probes(
    manager: Manager,
    metrics: Metrics,
    election: Election | Elections,
    caches: Mapping[str, Sequence[Informer[Any]]],
    background: Iterable[asyncio.Task[None]],
) -> Probes:
    """What is served: who lives and works, and the metrics.

    Trouble with the API server is no sign of death: a new process would have the same.
    """
    synced = {resource: _synced(group) for resource, group in caches.items()}
    return Probes(
        live={task.get_name(): ended(task) for task in background},
        ready={**synced, "studies": lambda: manager.trouble, "leader": election.why_not_leading},
        metrics=metrics.text,
    )


def _synced(caches: Iterable[Informer[Any]]) -> Check:
    def why() -> str:
        complete = all(cache.synced.is_set() for cache in caches)
        return "" if complete else "not all of them are listed yet"

    return why


async def _all(*events: asyncio.Event) -> None:
    await asyncio.gather(*(event.wait() for event in events))


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Waits for one of them and drops the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _cancel(*tasks)


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


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
