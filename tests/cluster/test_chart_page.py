"""The page in the cluster: from the image, as the chart installs it, reached as its users do."""

import asyncio
import contextlib
import re
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.certificates import self_signed
from tests.cluster.harness import bench, condition, eventually, study
from tests.cluster.releases import SYSTEM, Release, installed_for_all, kubectl, objects, viewer
from tests.dashboard.web import Site, next_event

pytestmark = pytest.mark.cluster

SECRET = "page-tls"
NAME = "localhost"  # to which kubectl forwards
VALUES = [f"--set=dashboard.enabled=true,dashboard.tlsSecret={SECRET},networkPolicy.enabled=true"]


def put_certificate(folder: Path) -> Path:
    """A new certificate of the page, in the cluster; where its authority is here."""
    certificate, key = self_signed(folder, f"DNS:{NAME}")
    files = (f"--cert={certificate}", f"--key={key}", "--dry-run=client", "-oyaml")
    body = kubectl("create", "secret", "tls", SECRET, "-n", SYSTEM, *files)
    kubectl("apply", "-f", "-", stdin=body)
    return certificate


@pytest.fixture(scope="module")
def certificate(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    try:
        yield put_certificate(tmp_path_factory.mktemp("first"))
    finally:
        kubectl("delete", "secret", SECRET, "-n", SYSTEM, "--ignore-not-found")


@pytest.fixture(scope="module")
def release(certificate: Path) -> Iterator[Release]:
    """One with a page, which is up when the installation says so."""
    with installed_for_all(*VALUES) as installed:
        yield installed


@asynccontextmanager
async def forwarded(release: Release) -> AsyncIterator[int]:
    """A port of this machine that leads to the page, by the command of the documentation."""
    process = await asyncio.create_subprocess_exec(
        *("kubectl", "-n", SYSTEM, "port-forward"),
        *(f"service/{release.full_name}-dashboard", ":443"),
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        said = (await process.stdout.readline()).decode()
        found = re.search(r"127\.0\.0\.1:(\d+)", said)
        assert found, said
        yield int(found[1])
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def page(port: int, authority: Path) -> AsyncIterator[Site]:
    """The page as somebody sees it who trusts that authority alone."""
    trusts = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=authority))
    async with aiohttp.ClientSession(connector=trusts) as session:
        yield Site(session, f"https://{NAME}:{port}")


async def test_a_study_is_seen_by_whom_the_cluster_lets(
    kubeconfig: Path, namespace: str, release: Release, certificate: Path
) -> None:
    token = await asyncio.to_thread(viewer, namespace, "viewer", "--clusterrole=view")
    stranger = await asyncio.to_thread(viewer, namespace, "stranger")
    place = f"/api/studies/{namespace}/seen"
    async with (
        bench(kubeconfig, namespace) as here,
        forwarded(release) as port,
        page(port, certificate) as site,
    ):
        async with site.open("/", None) as response:
            assert response.status == 200
            html = await response.text()
        [script] = re.findall(r'src="([^"]+\.js)"', html)
        async with site.open(f"/{script.lstrip('./')}", None) as response:
            assert response.status == 200, "the image has the page's program"
        assert (await site.ask("/api/studies", None))[0] == 401
        assert (await site.ask("/api/studies", "no-token"))[0] == 401

        await here.apply(study("seen", maxTrials=4))

        async def shown() -> bool:
            return (await site.ask(place, token))[0] == 200

        await eventually(shown, "the page shows the study")
        assert (await site.ask(place, stranger))[0] == 403
        async with site.open(f"{place}/stream", token) as stream:
            assert stream.status == 200
            await next_event(stream)
        body = await here.finished("seen")

        async def ended() -> bool:
            answer = (await site.ask(place, token))[1]
            return bool(answer["phase"] == condition(body, "Finished", "reason"))

        await eventually(ended, "the page shows the end")


async def test_a_renewed_certificate_is_served(
    release: Release, certificate: Path, tmp_path: Path
) -> None:
    """Without a new pod."""
    before = page_pod(release)
    renewed = await asyncio.to_thread(put_certificate, tmp_path)
    # A kubelet brings a pod's Secrets up to date when it looks at the pod: now, not in a minute.
    kubectl("annotate", "pod", "-n", SYSTEM, before, "tests.hyperband.dev/looked-at=now")
    async with forwarded(release) as port:

        async def served() -> bool:
            async with page(port, renewed) as site:
                with contextlib.suppress(aiohttp.ClientSSLError):
                    async with site.open("/healthz", None) as response:
                        return bool(response.status == 200)
            return False

        await eventually(served, "the page has the new certificate")
        with pytest.raises(aiohttp.ClientSSLError):
            async with page(port, certificate) as site, site.open("/healthz", None):
                pass
    assert page_pod(release) == before


def page_pod(release: Release) -> str:
    """The name of the page's pod, which has never been started again."""
    [pod] = release.pods("hyperband-dashboard")
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    return str(pod["metadata"]["name"])


def test_the_notes_say_how_to_open_it(release: Release) -> None:
    notes = release.helm("get", "notes", release.name)
    [command] = re.findall(r"kubectl .* port-forward .*", notes)
    service, ports = command.split()[-2:]
    assert service == f"service/{release.full_name}-dashboard"
    found = objects(service, "-n", SYSTEM)
    assert [port["port"] for port in found["spec"]["ports"]] == [int(ports.partition(":")[2])]
