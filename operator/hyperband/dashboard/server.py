"""The page's HTTP server: who asks is known, may see what is shown, and changes nothing."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Any, Final

from aiohttp import web

from hyperband.api import names
from hyperband.backends.kubernetes.api_errors import ApiError, Forbidden, KubernetesError
from hyperband.core.errors import InvalidStudyError, printable
from hyperband.dashboard import decisions, parallel, query, studies, trial, trials
from hyperband.dashboard.access import (
    Access,
    ForbiddenError,
    Right,
    UnknownViewerError,
    Viewer,
    me,
)
from hyperband.dashboard.answers import Answer, Answers, answer
from hyperband.dashboard.feeds import Feed, Feeds, MissingError, Source, UnavailableError
from hyperband.dashboard.figures import KINDS, figure
from hyperband.dashboard.pages import HEADERS, Pages
from hyperband.dashboard.query import QueryError
from hyperband.dashboard.snapshot import Snapshot
from hyperband.dashboard.stream import REVIEW, Places, Stream
from hyperband.plots.values import Over

log = logging.getLogger(__name__)

DOCUMENT: Final = "docs/how-to/dashboard.md"
STUDY: Final = "/api/studies/{namespace}/{name}"
TRIAL: Final = STUDY + "/trials/{index}"
MAX_READS: Final = 8  # of pods, events and logs at once: each is read for one viewer alone
_STATUS: Final = {
    UnknownViewerError: 401,
    ForbiddenError: 403,
    MissingError: 404,
    QueryError: 400,
    UnavailableError: 503,
}
_PORT: Final = re.compile(":[0-9]+$")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """Answers to requests below /api."""

    def __init__(
        self,
        source: Source,
        feeds: Feeds,
        access: Access,
        answers: Answers,
        review_every: float = REVIEW,
    ) -> None:
        self._source, self._feeds = source, feeds
        self._access, self._answers = access, answers
        self._review_every = review_every
        self._places = Places()
        self._reads = asyncio.Semaphore(MAX_READS)

    def routes(self) -> list[web.RouteDef]:
        """Reads, all of them."""
        return [
            web.get("/api/me", self.me),
            web.get("/api/studies", self.studies),
            web.get(STUDY, self.study),
            web.get(STUDY + "/figures/{kind}", self.figure),
            web.get(STUDY + "/parallel", self.parallel),
            web.get(STUDY + "/trials", self.trials),
            web.get(STUDY + "/decisions", self.decisions),
            web.get(STUDY + "/stream", self.stream),
            web.get(TRIAL, self.trial),
            web.get(TRIAL + "/pods", self.pods),
            web.get(TRIAL + "/events", self.events),
            web.get(TRIAL + "/logs", self.logs),
        ]

    # -- rights ----------------------------------------------------------------------------------

    async def _need(self, viewer: Viewer, *rights: Right) -> None:
        for right in rights:
            if not await self._access.may(viewer, right):
                mend = "ask for the role view there, or one that has it"
                raise ForbiddenError(f"{printable(viewer.name)} may not {right}: {mend}")

    async def _listed(self, viewer: Viewer) -> tuple[list[Any], list[str] | None]:
        """The studies that a viewer may list, and the namespaces they are in; None for all."""
        if self._source.wrong:
            raise UnavailableError(self._source.wrong)
        found = self._source.studies()
        if await self._access.may(viewer, _studies("list")):
            return found, None
        asked = sorted({each["metadata"]["namespace"] for each in found})
        may = await asyncio.gather(
            *(self._access.may(viewer, _studies("list", namespace)) for namespace in asked)
        )
        allowed = [namespace for namespace, good in zip(asked, may, strict=True) if good]
        known = frozenset(allowed)
        return [each for each in found if each["metadata"]["namespace"] in known], allowed

    async def _feed(
        self, request: web.Request, *kinds: str, viewer: Viewer | None = None
    ) -> tuple[Feed, Snapshot]:
        """The study that a request names, if its viewer may see it and objects of these kinds."""
        viewer = viewer or await self._access.viewer(request)
        place = query.place(request.match_info)
        if place is None:
            raise MissingError("there can be no study of that name: open the list of studies")
        await self._need(viewer, *_rights(place, kinds))
        feed, snapshot = await self._feeds.get(*place)
        if snapshot.archived and "trials" in kinds:
            await self._need(viewer, _archives(place[0]))
        return feed, snapshot

    async def _trial(self, request: web.Request, *kinds: str) -> tuple[Snapshot, int]:
        _, snapshot = await self._feed(request, "trials", *kinds)
        index = query.index(request.match_info)
        if index is None or index not in snapshot.trials:
            known = f"there are {len(snapshot.trials)} trials"
            raise MissingError(f"there is no such trial: {known}")
        return snapshot, index

    # -- answers ---------------------------------------------------------------------------------

    async def me(self, request: web.Request) -> web.StreamResponse:
        viewer = await self._access.viewer(request)
        _, namespaces = await self._listed(viewer)
        return _json(request, answer(me(self._access, viewer, namespaces)))

    async def studies(self, request: web.Request) -> web.StreamResponse:
        viewer = await self._access.viewer(request)
        found, _ = await self._listed(viewer)
        return _json(request, await self._answers.alone(partial(studies.listed, found)))

    async def study(self, request: web.Request) -> web.StreamResponse:
        _, snapshot = await self._feed(request, "trials")
        return await self._made(request, snapshot, "study", lambda: studies.page(snapshot))

    async def figure(self, request: web.Request) -> web.StreamResponse:
        kind = request.match_info["kind"]
        more = ("pods",) if kind == "timeline" else ()
        _, snapshot = await self._feed(request, "trials", *more)
        if kind not in KINDS:
            raise MissingError(f"there is no such figure: ask for one of {', '.join(KINDS)}")
        over = query.over(request.query) if kind == "best" else Over.TIME
        return await self._made(
            request, snapshot, ("figure", kind, over), lambda: figure(snapshot, kind, over)
        )

    async def parallel(self, request: web.Request) -> web.StreamResponse:
        _, snapshot = await self._feed(request, "trials")
        return await self._made(request, snapshot, "parallel", lambda: parallel.parallel(snapshot))

    async def trials(self, request: web.Request) -> web.StreamResponse:
        _, snapshot = await self._feed(request, "trials")
        wanted = query.wanted(request.query)
        first = wanted.offset == 0 and wanted.limit == trials.LIMIT
        return await self._made(
            request, snapshot, wanted if first else None, lambda: trials.table(snapshot, wanted)
        )

    async def decisions(self, request: web.Request) -> web.StreamResponse:
        _, snapshot = await self._feed(request, "trials")
        before = query.before(request.query)
        limit = query.number(request.query, "limit", 100, decisions.MAX_LIMIT, 1)
        newest = before is None and limit in decisions.USUAL
        return await self._made(
            request,
            snapshot,
            ("decisions", limit) if newest else None,
            lambda: decisions.page(snapshot, before, limit),
        )

    async def trial(self, request: web.Request) -> web.StreamResponse:
        snapshot, index = await self._trial(request)
        local = self._source.local
        return await self._made(
            request, snapshot, None, partial(trial.page, snapshot, index, local=local)
        )

    async def pods(self, request: web.Request) -> web.StreamResponse:
        snapshot, index = await self._trial(request, "pods")
        async with self._reads:
            found = await self._source.pods(snapshot, index)
        return _json(request, answer({"pods": found}))

    async def events(self, request: web.Request) -> web.StreamResponse:
        snapshot, index = await self._trial(request, "events")
        async with self._reads:
            found = await self._source.events(snapshot, index)
        return _json(request, answer({"events": found}))

    async def logs(self, request: web.Request) -> web.StreamResponse:
        snapshot, index = await self._trial(request, "logs")
        attempt = query.optional(request.query, "attempt")
        tail = query.number(request.query, "tail", 1000, query.MAX_TAIL, 1)
        async with self._reads:
            found = await self._source.log(snapshot, index, attempt, tail)
            shown = await asyncio.to_thread(_shown, found)
        response = web.Response(text=shown, zlib_executor_size=1)
        response.enable_compression()
        return response

    async def stream(self, request: web.Request) -> web.StreamResponse:
        viewer = await self._access.viewer(request)
        feed, _ = await self._feed(request, "trials", viewer=viewer)
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", **HEADERS}
        response = web.StreamResponse(headers=headers)
        review = partial(self._ended, request, feed)
        stream = Stream(feed, self._answers, review, self._review_every)
        with self._places.one(viewer.name):
            try:
                await response.prepare(request)
                await stream.send(response)
            except ConnectionError:  # the viewer has left
                pass
            except TimeoutError:  # or reads no more: what is left would wait for it, too
                if request.transport is not None:
                    request.transport.abort()
        return response

    async def _ended(self, request: web.Request, feed: Feed) -> str:
        """Why its viewer must not see more of a study; empty if there is no reason."""
        try:
            viewer = await self._access.viewer(request)
            await self._need(viewer, *_rights(feed.key, ("trials",)))
            if feed.latest is not None and feed.latest.archived:
                await self._need(viewer, _archives(feed.key[0]))
        except UnknownViewerError:
            return "expired"
        except ForbiddenError:
            return "forbidden"
        except KubernetesError as error:  # not known: better no stream than one too many
            log.warning("a viewer's rights cannot be asked for: %s", error)
            return "unavailable"
        return ""

    def refused(self, error: KubernetesError) -> tuple[int, str]:
        """What the API server's refusal comes to: a status, and words."""
        if isinstance(error, Forbidden):
            said = printable(error.message)
            if self._access.asks_as_viewer:
                return 403, f"{said}: ask for the role view there"
            return 503, f"the page's own account lacks a right ({said}): tell who installed it"
        if isinstance(error, ApiError) and error.status in (400, 404):
            return error.status, error.message
        if self._access.asks_as_viewer:
            return 503, f"the API server does not answer ({printable(str(error))}): try again"
        # Where it is, is nobody's who has not shown a token.
        log.warning("the API server does not answer: %s", error)
        return 503, "the API server does not answer: try again"

    async def _made(
        self,
        request: web.Request,
        snapshot: Snapshot,
        key: Hashable | None,
        make: Callable[[], dict[str, Any]],
    ) -> web.Response:
        return _json(request, await self._answers.of(snapshot, key, make))


def _shown(log: bytes) -> str:
    return printable(log.decode(errors="replace").replace("\r\n", "\n"))


def _custom(verb: str, plural: str, namespace: str = "", name: str = "") -> Right:
    return Right(verb, names.GROUP, plural, namespace, name)


def _studies(verb: str, namespace: str = "") -> Right:
    return _custom(verb, names.STUDY_PLURAL, namespace)


def _archives(namespace: str) -> Right:
    return _custom("list", names.ARCHIVE_PLURAL, namespace)


def _rights(place: tuple[str, str], kinds: tuple[str, ...]) -> list[Right]:
    """Which rights it takes to see a study, and what of it."""
    namespace, name = place
    by_kind = {
        "trials": _custom("list", names.TRIAL_PLURAL, namespace),
        "pods": Right("list", "", "pods", namespace),
        "events": Right("list", "", "events", namespace),
        "logs": Right("get", "", "pods", namespace, subresource="log"),
    }
    own = _custom("get", names.STUDY_PLURAL, namespace, name)
    return [own, *(by_kind[kind] for kind in kinds)]


def _json(request: web.Request, made: Answer, status: int = 200) -> web.Response:
    headers = {"Content-Type": "application/json"}
    if made.packed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return web.Response(body=made.packed, headers=headers, status=status)
    return web.Response(body=made.plain, headers=headers, status=status)


# -- around all of it ----------------------------------------------------------------------------


def application(api: Api, source: Source, pages: Pages, hosts: frozenset[str]) -> web.Application:
    """All paths.

    Args:
        hosts: the names by which it may be called, against other sites' pages that resolve to this
            machine; none where any may.
    """
    app = web.Application(middlewares=[_guarded(api, hosts)])
    app.router.add_routes(api.routes())

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(_: web.Request) -> web.Response:
        wrong = source.wrong
        return web.Response(status=503 if wrong else 200, text=f"{wrong or 'ok'}\n")

    app.router.add_get("/healthz", healthy)
    app.router.add_get("/readyz", ready)
    app.router.add_get("/api{rest:.*}", _nothing)
    app.router.add_get("/{path:.*}", pages.serve)
    return app


async def _nothing(_: web.Request) -> web.StreamResponse:
    raise MissingError(f"there is nothing of that name: {DOCUMENT} tells what the page shows")


def _guarded(api: Api, hosts: frozenset[str]) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if hosts and _PORT.sub("", request.host.lower()) not in hosts:
            response: web.StreamResponse = web.Response(
                status=421, text=f"This is not {printable(request.host)}: open the address given\n"
            )
        else:
            response = await _answered(api, request, handler)
        if not response.prepared:
            response.headers.update(HEADERS)
            if request.path.startswith("/api"):
                response.headers["Cache-Control"] = "no-store"
        return response

    return guard


async def _answered(api: Api, request: web.Request, handler: Handler) -> web.StreamResponse:
    """The handler's answer, or what is wrong as JSON."""
    try:
        return await handler(request)
    except web.HTTPException as error:  # of aiohttp: no such method
        return _wrong(request, error.status, error.reason)
    except tuple(_STATUS) as error:
        return _wrong(request, _STATUS[type(error)], str(error))
    except InvalidStudyError as error:
        return _wrong(request, 400, f"the study cannot be read: {error}")
    except KubernetesError as error:
        return _wrong(request, *api.refused(error))
    except Exception:
        log.exception("%s", request.path)
        return _wrong(request, 500, "this server has failed: its log tells more")


def _wrong(request: web.Request, status: int, said: str) -> web.Response:
    response = _json(request, answer({"error": said}), status)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response
