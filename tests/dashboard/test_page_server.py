"""The page's server over a run's folder: whoever has the token sees it, and nobody changes it."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web
from yarl import URL

from hyperband.backends.local import keeper
from hyperband.backends.local.store import StoreError
from hyperband.dashboard.access import OwnMachine
from hyperband.dashboard.answers import Answers
from hyperband.dashboard.feeds import Feed
from hyperband.dashboard.folder import Folder
from hyperband.dashboard.pages import MISSING
from hyperband.dashboard.server import DOCUMENT, MAX_READS
from hyperband.dashboard.snapshot import Snapshot
from hyperband.dashboard.stream import Stream
from tests.dashboard.played import write_run
from tests.dashboard.web import STUDY, TOKEN, Site, next_event, of_folder, site

PATHS = (
    "/api/me",
    "/api/studies",
    STUDY,
    f"{STUDY}/figures/curves",
    f"{STUDY}/figures/best?over=gpu-hours",
    f"{STUDY}/figures/timeline",
    f"{STUDY}/parallel",
    f"{STUDY}/trials?sort=value&order=desc&offset=1&limit=3&state=Paused",
    f"{STUDY}/decisions?before=12&limit=5",
    f"{STUDY}/decisions?before=12.3.4.0&limit=5",
    f"{STUDY}/trials/3",
    f"{STUDY}/trials/3/pods",
    f"{STUDY}/trials/3/events",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a run that is in its middle."""
    write_run(tmp_path / "run", 36, 1500.0)
    return tmp_path / "run"


async def test_every_path_answers(folder: Path) -> None:
    async with of_folder(folder) as site:
        for path in PATHS:
            status, body = await site.ask(path)
            assert status == 200, (path, body)


async def test_the_list_and_its_viewer(folder: Path) -> None:
    async with of_folder(folder) as site:
        _, me = await site.ask("/api/me")
        assert me == {"user": "you", "mode": "laptop", "namespaces": None}
        _, found = await site.ask("/api/studies")
        (row,) = found["studies"]
        assert (row["namespace"], row["name"], row["trials"]["total"]) == ("default", "digits", 22)


@pytest.mark.parametrize("path", [*PATHS, f"{STUDY}/stream", f"{STUDY}/trials/3/logs"])
async def test_nothing_is_told_without_the_token(folder: Path, path: str) -> None:
    async with of_folder(folder) as site:
        for token in (None, "wrong", "", "\u00e9", TOKEN + "x", "x" * 20000):
            async with site.open(path, token) as response:
                assert response.status == 401
                assert response.headers["WWW-Authenticate"] == "Bearer"
                assert "digits" not in await response.text()


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"Authorization: Bearer caf\xe9", 401),
        (b"Authorization: Bearer a\0b", 400),
        (b"no header", 400),
        (b"X: " + 40_000 * b"x", 400),
    ],
)
async def test_what_is_no_request_fills_no_log(
    folder: Path, caplog: pytest.LogCaptureFixture, line: bytes, status: int
) -> None:
    async with of_folder(folder) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(site.base).port)
        head = b"GET /api/me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        writer.write(head + line + b"\r\n\r\n")
        async with asyncio.timeout(20.0):
            assert f" {status} ".encode() in await reader.readline()
        writer.close()
    assert not caplog.records


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_no_method_writes(folder: Path, method: str) -> None:
    async with of_folder(folder) as site:
        for path in (STUDY, "/api/studies", "/", f"{STUDY}/trials/3"):
            async with site.open(path, method=method) as response:
                assert response.status == 405


async def test_another_sites_page_is_turned_away(folder: Path) -> None:
    """A name that an attacker lets resolve to 127.0.0.1, as the browser sends it."""
    async with of_folder(folder) as site:
        for host, status in (
            ("evil.example", 421),
            ("evil.example:80", 421),
            ("127.0.0.1.evil.example", 421),
            ("localhost", 200),
            ("LOCALHOST:1", 200),
            ("[::1]:1", 200),
        ):
            async with site.open("/api/me", headers={"Host": host}) as response:
                assert response.status == status, host


@pytest.mark.parametrize(
    "path",
    [
        "/api/studies/default/..%2fdigits",
        "/api/studies/..%2f..%2fapi%2fv1/digits",
        "/api/studies/default/%2e%2e",
        "/api/studies/default/Digits",
        "/api/studies/other/digits",
        "/api/studies/default/" + "x" * 300,
        "/api/studies/default/digits%00",
        f"{STUDY}/trials/99",
        f"{STUDY}/trials/-1",
        f"{STUDY}/trials/3%2flogs",
        f"{STUDY}/trials/" + "9" * 400,
        f"{STUDY}/trials/3/logs",
        f"{STUDY}/figures/parallel",
        f"{STUDY}/figures/..%2f..%2fsecret",
        "/api",
        "/api/",
        "/api/secrets",
    ],
)
async def test_what_is_not_there(folder: Path, path: str) -> None:
    async with of_folder(folder) as site:
        status, body = await site.ask(path)
        assert status == 404 and body["error"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("trials?limit=501", "limit: '501': give a number of 1 to 500"),
        ("trials?limit=0", "limit: '0'"),
        ("trials?offset=-1", "offset: '-1'"),
        ("trials?offset=1e9", "offset: '1e9'"),
        ("trials?offset=" + "9" * 2000, "give a number of 0 to 999999999"),
        ("trials?sort=secret", "sort: 'secret': give one of index, value"),
        ("trials?order=up", "order: 'up'"),
        ("trials?state=Gone", "state: 'Gone': give one of Pending, Running"),
        ("decisions?limit=99999", "limit: '99999'"),
        ("decisions?before=x", "before: 'x': give the id of a decision, or the number of a value"),
        ("decisions?before=1.2.3.4.5", "before: '1.2.3.4.5'"),
        ("decisions?before=-1", "before: '-1'"),
        ("figures/best?over=moon", "over: 'moon': give one of time, gpu-hours, values"),
        ("trials/3/logs?tail=10001", "tail: '10001'"),
        ("trials/3/logs?attempt=%1b[2J", "attempt: "),
    ],
)
async def test_a_bad_query_is_told_of_with_its_mend(folder: Path, query: str, said: str) -> None:
    async with of_folder(folder) as site:
        status, body = await site.ask(f"{STUDY}/{query}")
        assert status == 400 and said in body["error"] and len(body["error"]) < 200
        assert "\x1b" not in body["error"]


async def test_headers_keep_the_page_to_itself(folder: Path) -> None:
    async with of_folder(folder) as site:
        for path, token in (("/", None), (STUDY, TOKEN), (STUDY, None), ("/healthz", None)):
            async with site.open(path, token) as response:
                headers = response.headers
                assert "script-src 'self';" in headers["Content-Security-Policy"]
                assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert headers["X-Frame-Options"] == "DENY"
                assert "aiohttp" not in headers["Server"]
                assert "Access-Control-Allow-Origin" not in headers
                if path == STUDY:
                    assert headers["Cache-Control"] == "no-store"


# -- files ---------------------------------------------------------------------------------------


async def test_the_page_says_how_to_build_it_where_it_is_not(folder: Path) -> None:
    async with of_folder(folder) as site, site.open("/", None) as response:
        assert response.status == 503 and await response.text() == MISSING


async def test_files_of_the_page_alone_are_served(folder: Path, tmp_path: Path) -> None:
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<title>page</title>")
    (static / "assets" / "app.js").write_text("1")
    (tmp_path / "secret").write_text("secret")
    async with of_folder(folder, pages=static) as site:
        for path, type_ in (("/", "text/html"), ("/assets/app.js", "text/javascript")):
            async with site.open(path, None) as response:
                assert response.status == 200 and response.content_type == type_
                tag = response.headers["ETag"]
            async with site.open(path, None, headers={"If-None-Match": tag}) as response:
                assert response.status == 304
        for path in ("/../secret", "/%2e%2e/secret", "/assets/..%2f..%2fsecret", "/assets/", "/x"):
            async with site.open(path, None) as response:
                assert response.status == 404 and "secret" not in await response.text()


async def test_files_are_packed_once_for_those_who_take_it(folder: Path, tmp_path: Path) -> None:
    static = tmp_path / "static"
    static.mkdir()
    (static / "index.html").write_text("<title>page</title>" * 100)
    async with of_folder(folder, pages=static) as site:
        for asked, encoding in (("gzip, br", "gzip"), ("identity", None)):
            async with site.open("/", None, headers={"Accept-Encoding": asked}) as response:
                assert response.headers.get("Content-Encoding") == encoding
                assert response.headers["Vary"] == "Accept-Encoding"
                assert await response.text() == "<title>page</title>" * 100


# -- logs ----------------------------------------------------------------------------------------


async def test_a_log_is_its_end_and_can_hide_nothing(folder: Path) -> None:
    attempt = folder / "trials" / "3" / "attempt-0"
    attempt.mkdir(parents=True)
    lines = [f"line {i}\n" for i in range(3000)]
    (attempt / keeper.LOG).write_bytes("".join(lines).encode() + b"\x1b[2J\xff<script>\n")
    async with of_folder(folder) as site:
        async with site.open(f"{STUDY}/trials/3/logs?attempt=0&tail=3") as response:
            assert response.status == 200 and response.content_type == "text/plain"
            assert await response.text() == "line 2998\nline 2999\n\\x1b[2J\ufffd<script>\n"
        async with site.open(f"{STUDY}/trials/3/logs") as response:
            assert len((await response.text()).splitlines()) == 1000
        status, body = await site.ask(f"{STUDY}/trials/3/logs?attempt=7")
        assert status == 404 and "attempt 7" in body["error"]


class Busy(Folder):
    """Logs take until they are let go on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.now = self.most = 0
        self.go_on = asyncio.Event()

    async def log(self, snapshot: Snapshot, index: int, attempt: int | None, tail: int) -> bytes:
        self.now += 1
        self.most = max(self.most, self.now)
        await self.go_on.wait()
        self.now -= 1
        return b""


async def test_so_many_logs_are_read_at_once(folder: Path) -> None:
    source = Busy(folder)
    async with site(source, OwnMachine(TOKEN)) as page, asyncio.timeout(20.0):
        path = f"{STUDY}/trials/3/logs"
        asked = [asyncio.create_task(_status(page, path)) for _ in range(30)]
        while source.now < MAX_READS:
            await asyncio.sleep(0.001)
        for _ in range(20):  # time enough for others to come, if they may
            assert (await page.ask("/api/me"))[0] == 200
        source.go_on.set()
        assert set(await asyncio.gather(*asked)) == {200}
        assert source.most == MAX_READS


async def _status(page: Site, path: str) -> int:
    async with page.open(path) as response:
        return int(response.status)


# -- the stream ----------------------------------------------------------------------------------


async def test_a_stream_tells_the_state_and_then_each_change(folder: Path) -> None:
    async with of_folder(folder) as site, site.open(f"{STUDY}/stream") as response:
        assert response.content_type == "text/event-stream"
        event, data = await next_event(response)
        first = data["version"]
        assert event == "change" and data["changed"] == []
        assert data["study"]["trials"]["total"] == 22
        assert {index for index, _, _ in data["running"]} <= set(range(22))
        await asyncio.to_thread(write_run, folder, 36, 3000.0)
        event, data = await next_event(response)
        assert event == "change" and {"curves", "trials", "decisions"} <= set(data["changed"])
        assert data["study"]["trials"]["total"] > 22 and data["version"] == first + 1
        _, shown = await site.ask(STUDY)
        assert shown["trials"] == data["study"]["trials"]


async def test_a_quiet_stream_is_kept_alive_between_reviews_too() -> None:
    now, told, reviewed = [0.0], [], []

    class Viewer:
        async def write(self, data: bytes) -> None:
            told.append((now[0], data))

    async def quiet(wait: Coroutine[Any, Any, Any], seconds: float) -> bool:
        wait.close()
        now[0] += seconds + 0.001  # a clock is never to the point
        return False

    async def review() -> str:
        reviewed.append(now[0])
        return "expired" if len(reviewed) == 4 else ""

    feed, answers = Feed(("default", "digits")), Answers()
    stream = Stream(feed, answers, review, 30.0, clock=lambda: now[0], wait=quiet)
    await stream.send(cast(web.StreamResponse, Viewer()))
    answers.close()
    *alive, (_, last) = told
    assert b"expired" in last
    assert [round(at) for at, _ in alive] == [15, 30, 45, 60, 75, 90, 105]
    assert [round(at) for at in reviewed] == [30, 60, 90, 120]


async def test_what_it_refers_to_is_there(folder: Path) -> None:
    async with of_folder(folder) as site:
        _, body = await site.ask("/api/secrets")
    assert DOCUMENT in body["error"]
    assert (Path(__file__).parents[2] / DOCUMENT).is_file()


async def test_a_folder_without_a_run_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="has no run"):
        Folder(tmp_path)
