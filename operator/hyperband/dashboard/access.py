"""Who asks, and what they may see."""

import hmac
import secrets
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from aiohttp import web

BEARER: Final = "bearer "
MAX_TOKEN: Final = 16384


class UnknownViewerError(Exception):
    """The request has no token, or none that is good; the message says what to do."""


class ForbiddenError(Exception):
    """The viewer may not see it; the message says which right is missing."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whoever has sent a request."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Right:
    """A verb on objects of a kind: in a namespace or, without one, in all."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        what = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        where = f"in namespace {self.namespace}" if self.namespace else "in all namespaces"
        return f"{self.verb} {what} {where}"


class Access(Protocol):
    """Decides about requests.

    Attributes:
        mode: what the page is told of it.
        asks_as_viewer: whether the API server is asked with the viewer's own rights, so that its
            refusals are theirs.
    """

    mode: str
    asks_as_viewer: bool

    async def viewer(self, request: web.Request) -> Viewer:
        """Who has sent it.

        Raises:
            UnknownViewerError: nobody who is known.
        """

    async def may(self, viewer: Viewer, right: Right) -> bool:
        """Whether a viewer has a right, as the cluster's authorization says."""


def token_of(request: web.Request) -> str:
    """The token that a request has brought.

    Raises:
        UnknownViewerError: it has none.
    """
    header = request.headers.get("Authorization", "")
    token = header[len(BEARER) :].strip() if header.lower().startswith(BEARER) else ""
    if not token or len(token) > MAX_TOKEN or not token.isascii():
        raise UnknownViewerError("a token is needed: send it as Authorization: Bearer TOKEN")
    return token


class OwnMachine:
    """One person on one machine, known by a random token that was printed at the start.

    What they may see in a cluster is what their kubeconfig may: the API server decides.
    """

    mode = "laptop"
    asks_as_viewer = True

    def __init__(self, token: str | None = None) -> None:
        self.token = token or secrets.token_urlsafe(32)

    async def viewer(self, request: web.Request) -> Viewer:
        if not hmac.compare_digest(token_of(request).encode(), self.token.encode()):
            raise UnknownViewerError(
                "this is not the token of this run: open the address that hyperband dashboard wrote"
            )
        return Viewer("you")

    async def may(self, viewer: Viewer, right: Right) -> bool:
        return True


def me(access: Access, viewer: Viewer, namespaces: list[str] | None) -> dict[str, Any]:
    """What the page tells of its viewer."""
    return {"user": viewer.name, "mode": access.mode, "namespaces": namespaces}
