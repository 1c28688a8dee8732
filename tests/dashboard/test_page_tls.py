"""The page over TLS: served with the files of a Secret, which are renewed while it serves."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hyperband.backends.kubernetes.telemetry.server import Address
from hyperband.dashboard import tls
from hyperband.dashboard.access import OwnMachine
from hyperband.dashboard.feeds import Feeds
from hyperband.dashboard.folder import Folder
from hyperband.dashboard.serve import serving
from hyperband.dashboard.tls import CertificateError, Files
from tests.certificates import self_signed
from tests.dashboard.played import write_run
from tests.dashboard.test_page_access import until
from tests.dashboard.web import TOKEN

HOST = "127.0.0.1"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A certificate of this machine, as a kubelet mounts it."""
    return Files(*self_signed(tmp_path, f"IP:{HOST}"))


@asynccontextmanager
async def served(files: Files, folder: Path) -> AsyncIterator[int]:
    """The page with these files, looked at again all the time; gives the port."""
    write_run(folder, 4, 1500.0)
    source, context = Folder(folder), files.context()
    renewing = asyncio.create_task(files.renew(context))
    address = Address(HOST, 0)
    try:
        async with serving(source, Feeds(source), OwnMachine(TOKEN), address, tls=context) as port:
            yield port
    finally:
        renewing.cancel()


async def shown(port: int) -> str:
    """The certificate that a new connection is shown."""
    return await asyncio.to_thread(ssl.get_server_certificate, (HOST, port), timeout=20)


async def answer(port: int, certificate: Path) -> bytes:
    """What the page's probe answers to one that trusts this certificate alone."""
    trusting = ssl.create_default_context(cafile=certificate)
    reader, writer = await asyncio.open_connection(HOST, port, ssl=trusting)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    found = await reader.read()
    writer.close()
    return found


async def test_a_certificate_that_is_renewed_is_served_without_a_restart(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "POLL", 0.01)
    async with asyncio.timeout(60.0), served(files, tmp_path / "run") as port:
        assert b" 200 OK" in await answer(port, files.certificate)
        old = await shown(port)
        assert old == files.certificate.read_text()
        self_signed(tmp_path, f"IP:{HOST}")
        new = files.certificate.read_text()
        assert new != old
        while await shown(port) != new:
            pass
        assert b" 200 OK" in await answer(port, files.certificate)


async def test_the_old_certificate_stays_while_the_new_one_is_no_good(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tls, "POLL", 0.01)
    caplog.set_level(logging.INFO)
    async with asyncio.timeout(60.0), served(files, tmp_path / "run") as port:
        old = await shown(port)
        key = files.key.read_bytes()
        self_signed(tmp_path, f"IP:{HOST}")
        new = files.key.read_bytes()
        files.key.write_bytes(key)  # of another certificate
        await until(lambda: "the old certificate stays" in caplog.text)
        assert await shown(port) == old
        files.key.unlink()
        await until(lambda: "No such file" in caplog.text)
        assert await shown(port) == old
        files.key.write_bytes(new)
        await until(lambda: "has been read again" in caplog.text)
        assert await shown(port) == files.certificate.read_text()


@pytest.mark.parametrize("lacking", ["tls.crt", "tls.key"])
def test_files_that_are_none_are_told_of_at_the_start(lacking: str, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, f"IP:{HOST}")
    (tmp_path / lacking).write_text("x")
    with pytest.raises(CertificateError, match="give a PEM certificate and its key"):
        Files(certificate, key).context()
    (tmp_path / lacking).unlink()
    with pytest.raises(CertificateError, match=r"No such file.*give a PEM certificate"):
        Files(certificate, key).context()
