"""Where the API server is and how to be let in, from the `kubernetes` package's loaders.

Of that package's two sets of loaders the synchronous one is used: only it comes with a hook that
renews credentials (a projected token is read again every minute, an expired exec plugin or OIDC
token is fetched again); `kubernetes.aio` leaves this to its caller and forgets OIDC. The hook may
run a program or read files, so here it runs in a thread and at most every 30 s.
"""

import asyncio
import logging
import os
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kubernetes import config
from kubernetes.client import Configuration
from kubernetes.config.incluster_config import SERVICE_TOKEN_FILENAME

log = logging.getLogger(__name__)

DEFAULT_KUBECONFIG = "~/.kube/config"
TOKEN_CHECK_SECONDS = 30.0

Headers = Mapping[str, str]


class NoConnectionError(ValueError):
    """No usable settings: the message names the file or variable that is missing or wrong."""


class HeaderSource(Protocol):
    """Gives the headers to authenticate with; told which ones were refused, it gets new ones."""

    def __call__(self, refused: Headers | None = None) -> Awaitable[Headers]: ...


async def anonymous(refused: Headers | None = None) -> Headers:
    """No credentials, or a client certificate only."""
    return {}


@dataclass(frozen=True)
class Connection:
    """All that a client needs to know of an API server.

    Attributes:
        url: without a slash at the end; may have a path.
        namespace: the operator's own, or that of the kubeconfig's context.
        tls: None for plain HTTP.
        headers: awaited before each request.
        server_name: checked in the server's certificate instead of the URL's host.
        proxy: the URL of an HTTP proxy.
    """

    url: str
    namespace: str = "default"
    tls: ssl.SSLContext | None = None
    headers: HeaderSource = anonymous
    server_name: str | None = None
    proxy: str | None = None


def connect(kubeconfig: str | Path | None = None, context: str | None = None) -> Connection:
    """The connection of a pod's service account, else of a kubeconfig.

    The service account comes first, unless a kubeconfig or a context is asked for by argument;
    then the files in KUBECONFIG, then ~/.kube/config. Blocks while an exec plugin runs, so call
    it before the event loop starts or in a thread.

    Raises:
        NoConnectionError: nothing usable was found.
    """
    in_cluster = kubeconfig is None and context is None and Path(SERVICE_TOKEN_FILENAME).is_file()
    files = str(kubeconfig or os.environ.get("KUBECONFIG") or DEFAULT_KUBECONFIG)

    if not in_cluster and not _there(files):
        raise NoConnectionError(
            f"there is no kubeconfig {files}: name one by --kubeconfig or the variable KUBECONFIG"
        )

    def load() -> Configuration:
        loaded = Configuration()
        if in_cluster:
            config.load_incluster_config(loaded)  # type: ignore[no-untyped-call]
        else:
            config.load_kube_config(files, context, loaded)  # type: ignore[no-untyped-call]
        return loaded

    try:
        settings = load()
        namespace = _own_namespace() if in_cluster else _context_namespace(files, context)
        tls = _tls(settings) if settings.host.startswith("https") else None
    except Exception as error:  # whatever the loaders trip over in a malformed file
        source = "the pod's service account" if in_cluster else f"kubeconfig {files}"
        raise NoConnectionError(f"cannot connect with {source}: {error}") from error
    return Connection(
        url=settings.host.rstrip("/"),
        namespace=namespace,
        tls=tls,
        headers=Credentials(load, settings, tls),
        server_name=settings.tls_server_name,
        proxy=settings.proxy,
    )


def _there(files: str) -> bool:
    """Whether one of them is there: those that are not are passed over, as by kubectl."""
    return any(Path(each).expanduser().exists() for each in files.split(os.pathsep) if each)


class Credentials:
    """The Authorization header, renewed by the package's hook, or wholly once it is refused."""

    def __init__(
        self,
        load: Callable[[], Any],
        settings: Any,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._settings = settings
        self._tls = tls
        self._clock = clock
        self._headers: Headers = {}
        self._due = -float("inf")
        self._lock = asyncio.Lock()

    async def __call__(self, refused: Headers | None = None) -> Headers:
        """The current headers. Never raises: without new ones the server judges the old ones.

        Args:
            refused: what the server answered 401 to. If nobody has renewed it meanwhile,
                everything is loaded again: a kubeconfig's token file, a revoked token and a
                plugin's token without an expiry are renewed no other way.
        """
        if refused is None and self._clock() < self._due:
            return self._headers
        async with self._lock:
            renew = refused is not None and refused is self._headers
            if renew or self._clock() >= self._due:
                try:
                    self._headers = await asyncio.to_thread(self._current, renew)
                except Exception as error:
                    log.warning("credentials could not be renewed, the old ones stay: %s", error)
                self._due = self._clock() + TOKEN_CHECK_SECONDS
            return self._headers

    def _current(self, renew: bool) -> Headers:
        if renew:
            self._settings = self._load()
            if self._tls is not None and self._settings.cert_file:
                self._tls.load_cert_chain(self._settings.cert_file, self._settings.key_file)
        token = self._settings.get_api_key_with_prefix("BearerToken", alias="authorization")
        return {"Authorization": token.strip()} if token else {}


def _tls(settings: Any) -> ssl.SSLContext:
    tls = ssl.create_default_context(cafile=settings.ssl_ca_cert)
    # On from Python 3.13: refuses the certificates of many clusters that kubectl accepts.
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if settings.cert_file:
        tls.load_cert_chain(settings.cert_file, settings.key_file)
    if not settings.verify_ssl:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    return tls


def _own_namespace() -> str:
    return Path(SERVICE_TOKEN_FILENAME).with_name("namespace").read_text().strip()


def _context_namespace(files: str, context: str | None) -> str:
    contexts, current = config.list_kube_config_contexts(files)  # type: ignore[no-untyped-call]
    wanted = current if context is None else next(c for c in contexts if c["name"] == context)
    return str(wanted["context"].get("namespace") or "default")
