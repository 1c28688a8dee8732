"""The built page's files, read once: what is not among them cannot be asked for."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

STATIC: Final = Path(__file__).with_name("static")
INDEX: Final = "index.html"
MISSING: Final = (
    "The page is not built: run `make page` in the repository, then `pip install .` there if it "
    "was installed so, and start this server again.\n"
)
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = {
    "Server": "hyperband",  # and no versions
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    packed: bytes | None  # the same compressed, where that makes it smaller
    type: str
    tag: str


def built(folder: Path = STATIC) -> bool:
    """Whether there is a page to serve."""
    return (folder / INDEX).is_file()


class Pages:
    """Serves them; `/` is the index."""

    def __init__(self, folder: Path = STATIC) -> None:
        found = sorted(folder.rglob("*")) if folder.is_dir() else []
        self._files = {
            path.relative_to(folder).as_posix(): _read(path) for path in found if path.is_file()
        }

    async def serve(self, request: web.Request) -> web.Response:
        """A file of the page, or the sentence that says how to build it."""
        if INDEX not in self._files:
            return web.Response(status=503, text=MISSING)
        file = self._files.get(request.path.lstrip("/") or INDEX)
        if file is None:
            return web.Response(status=404, text="There is no such file: open /\n")
        headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
        if request.headers.get("If-None-Match") == file.tag:
            return web.Response(status=304, headers=headers)
        headers |= {"Content-Type": file.type, "Vary": "Accept-Encoding"}
        if file.packed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=file.packed, headers={**headers, "Content-Encoding": "gzip"})
        return web.Response(body=file.body, headers=headers)


def _read(path: Path) -> _File:
    body = path.read_bytes()
    guessed = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if guessed == "application/javascript":
        guessed = "text/javascript"
    text = guessed.startswith("text/") or guessed == "image/svg+xml"
    type_ = f"{guessed}; charset=utf-8" if text else guessed
    packed = gzip.compress(body, mtime=0)
    least = packed if len(packed) < len(body) else None
    return _File(body, least, type_, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
