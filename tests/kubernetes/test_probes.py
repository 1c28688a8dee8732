"""/healthz, /readyz and /metrics, asked over HTTP."""

import asyncio
import socket

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hyperband.backends.kubernetes.telemetry.metrics import Metrics
from hyperband.backends.kubernetes.telemetry.server import (
    Address,
    CannotListenError,
    Probes,
    ended,
    serving,
)

LOOPBACK = Address("127.0.0.1", 0)


async def _ask(port: int, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


def _probes(live: str = "", synced: str = "", leader: str = "") -> Probes:
    ready = {"pods": lambda: synced, "leader": lambda: leader}
    return Probes({"audit": lambda: live}, ready, Metrics().text)


async def test_all_is_well() -> None:
    async with serving(LOOPBACK, _probes()) as port:
        assert await _ask(port, "/healthz") == (200, "[+]audit ok\nhealthz check passed\n")
        assert await _ask(port, "/readyz") == (
            200,
            "[+]pods ok\n[+]leader ok\nreadyz check passed\n",
        )


async def test_a_standby_lives_says_what_it_waits_for_and_can_be_asked_for_the_rest() -> None:
    async with serving(LOOPBACK, _probes(leader="waiting for the Lease a/b")) as port:
        assert (await _ask(port, "/healthz"))[0] == 200
        assert await _ask(port, "/readyz") == (
            503,
            "[+]pods ok\n[-]leader failed: waiting for the Lease a/b\nreadyz check failed\n",
        )
        assert await _ask(port, "/readyz?exclude=leader") == (
            200,
            "[+]pods ok\nreadyz check passed\n",
        )
        assert (await _ask(port, "/readyz/pods"))[0] == 200
        assert (await _ask(port, "/readyz/leader"))[0] == 503
        assert (await _ask(port, "/readyz/nothing"))[0] == 404


async def test_a_task_that_is_over_is_the_end() -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(work(), name="pods")
    alive = ended(task)
    assert alive() == ""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert alive() == "the task pods has ended"
    async with serving(LOOPBACK, Probes({"pods": alive}, {}, Metrics().text)) as port:
        status, text = await _ask(port, "/healthz")
    assert status == 503
    assert "[-]pods failed: the task pods has ended" in text


async def test_metrics_are_in_the_format_of_prometheus() -> None:
    async with serving(LOOPBACK, _probes()) as port:
        status, text = await _ask(port, "/metrics")
    names = {family.name for family in text_string_to_metric_families(text)}
    assert status == 200
    assert {"hyperband_studies", "process_resident_memory_bytes"} <= names


async def test_nothing_is_served_unless_it_is_asked_for() -> None:
    async with serving(None, _probes()) as port:
        assert port == 0


async def test_an_address_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CannotListenError, match=rf"cannot listen at 127\.0\.0\.1:{port}: "):
            async with serving(Address("127.0.0.1", port), _probes()):
                pass


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [(":8080", None, 8080), ("127.0.0.1:0", "127.0.0.1", 0), ("[::1]:443", "::1", 443)],
)
def test_addresses(text: str, host: str | None, port: int) -> None:
    assert Address.parse(text) == Address(host, port)


@pytest.mark.parametrize("text", ["", "8080", "::1:80", "localhost:http", ":65536", ":-1", ":²"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"HOST|brackets"):
        Address.parse(text)
