"""The page with the rights that the chart grants it, asked with real tokens of a real cluster."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from hack.chart import helm
from hyperband.backends.kubernetes.api_errors import Conflict, NotFound
from hyperband.backends.kubernetes.objects import ARCHIVES, PODS, TRIALS
from tests.cluster.harness import (
    PROGRAM,
    Bench,
    bench,
    eventually,
    often_archiving,
    running_operator,
    study,
)
from tests.cluster.releases import kubectl, viewer
from tests.dashboard.web import Site, next_event

pytestmark = pytest.mark.cluster

NAME = "hyperband-operator-dashboard"
OWN = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding")
OTHER = "kube-system"
KEPT = 2  # trials that are not archived
PATIENCE = 60.0  # until a token that is no good any more is noticed
RECORDS = ["hyperbandstudies", "hyperbandtrials", "hyperbandarchives"]


@pytest.fixture(scope="module")
def account(kubeconfig: Path) -> Iterator[None]:
    """The page's account, with its roles as the chart has them."""
    made = [
        each
        for each in yaml.safe_load_all(helm.template("--set=dashboard.enabled=true"))
        if each and each["metadata"]["name"] == NAME and each["kind"] in OWN
    ]
    assert len(made) == len(OWN)
    text = yaml.safe_dump_all(made)
    kubectl("apply", "-f", "-", stdin=text)
    try:
        yield
    finally:
        kubectl("delete", "--ignore-not-found", "-f", "-", stdin=text)


def _kubeconfig(folder: Path) -> Path:
    """Of the page's own account: it may do what its roles say, no more."""
    token = kubectl("create", "token", "-n", helm.NAMESPACE, NAME)
    config = yaml.safe_load(kubectl("config", "view", "--raw", "--minify", "--flatten"))
    config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token.strip()}}]
    path = folder / "page.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


@asynccontextmanager
async def page(folder: Path) -> AsyncIterator[Site]:
    """The page as it runs in the cluster, but for where it runs."""
    log = folder / "page.log"
    config = await asyncio.to_thread(_kubeconfig, folder)
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(*PROGRAM, "dashboard", "--in-cluster", "--listen=127.0.0.1:0"),
            *("--kubeconfig", str(config)),
            stderr=file,
        )
    try:

        async def port() -> str:
            assert process.returncode is None, log.read_text()
            found = re.search(r"http: port (\d+)", log.read_text())
            return found[1] if found else ""

        base = f"http://127.0.0.1:{await eventually(port, 'the page is served')}"
        async with aiohttp.ClientSession() as session:
            yield Site(session, base)
        said = log.read_text()
        # With its word: the number alone may be part of a port or of a time.
        assert "403 Forbidden" not in said and "Traceback" not in said, said
    finally:
        process.terminate()
        await process.wait()


def records_only(namespace: str) -> str:
    """The token of somebody who may look at studies, and at no pod."""
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "records", "namespace": namespace},
        "rules": [{"apiGroups": ["hyperband.dev"], "resources": RECORDS, "verbs": ["get", "list"]}],
    }
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump(role))
    return viewer(namespace, "records", "--role=records")


async def _allowed(site: Site, path: str, token: str) -> Any:
    """The answer, once the roles are known everywhere."""

    async def good() -> Any:
        status, body = await site.ask(path, token)
        return body if status == 200 else None

    return await eventually(good, f"{path} is answered")


async def _delete_pods(here: Bench) -> None:
    for pod in await here.pods():
        with contextlib.suppress(NotFound, Conflict):
            await here.client.delete(PODS, here.namespace, pod.metadata.name, uid=pod.metadata.uid)


async def _ended(response: aiohttp.ClientResponse) -> str:
    async with asyncio.timeout(PATIENCE):
        while True:
            event, data = await next_event(response)
            if event == "end":
                return str(data["reason"])


async def test_each_viewer_sees_what_their_token_may(
    kubeconfig: str, namespace: str, account: None, tmp_path: Path
) -> None:
    """A study that runs, is looked at by three people, and is archived meanwhile."""
    full = viewer(namespace, "full", "--clusterrole=view")
    records = records_only(namespace)
    nobody = viewer(namespace, "nobody")
    root = f"/api/studies/{namespace}/shown"
    program = often_archiving()
    with running_operator(namespace, tmp_path / "operator.log", program=program):
        async with bench(kubeconfig, namespace) as here, page(tmp_path) as site:
            await here.apply(study("shown", retention={"trials": KEPT}))
            assert (await site.ask(root, None))[0] == 401
            assert (await site.ask(root, full[:-4] + "AAAA"))[0] == 401
            await _allowed(site, root, full)
            await _allowed(site, root, records)
            async with site.open(f"{root}/stream", full) as response:
                event, data = await next_event(response)
                assert event == "change" and data["study"]["name"] == "shown"
                while data["study"]["phase"] != "Exhausted":
                    event, data = await next_event(response)
                    assert event == "change"
            await here.finished("shown")
            trials = await here.trials("shown")

            # Who has the role view sees all of it.
            listed = await _allowed(site, "/api/studies", full)
            assert [each["name"] for each in listed["studies"]] == ["shown"]
            assert (await _allowed(site, "/api/me", full))["namespaces"] == [namespace]
            table = await _allowed(site, f"{root}/trials?limit=500", full)
            assert [each["index"] for each in table["trials"]] == list(range(9))
            assert await _allowed(site, f"{root}/figures/timeline", full)
            pods = (await _allowed(site, f"{root}/trials/0/pods", full))["pods"]
            assert [each["name"] for each in pods][:1] == ["shown-0-0"]
            events = (await _allowed(site, f"{root}/trials/0/events", full))["events"]
            assert "Scheduled" in {each["reason"] for each in events}
            async with site.open(f"{root}/trials/0/logs?attempt=0", full) as response:
                assert response.status == 200 and "epoch 1" in await response.text()

            # Who may look at records alone, sees those; who may nothing, nothing.
            assert len((await _allowed(site, f"{root}/trials", records))["trials"]) == 9
            for path in ("figures/timeline", "trials/0/pods", "trials/0/events", "trials/0/logs"):
                status, body = await site.ask(f"{root}/{path}", records)
                assert status == 403 and "may not" in body["error"], path
            for path in (root, f"{root}/stream", f"/api/studies/{OTHER}/shown"):
                assert (await site.ask(path, nobody))[0] == 403
            assert (await site.ask("/api/studies", nobody))[1] == {"studies": []}
            assert (await site.ask(f"/api/studies/{OTHER}/x", full))[0] == 403

            # Archived trials stay on the page.
            async def archived() -> bool:
                await _delete_pods(here)
                kept = await here.objects(TRIALS, "shown")
                return len(kept) == KEPT and bool(await here.objects(ARCHIVES, "shown"))

            await eventually(archived, "all trials but two are archived")

            async def without_objects() -> bool:
                found = await _allowed(site, f"{root}/trials?limit=500", full)
                states = [each["state"] for each in found["trials"]]
                return states == [each["status"]["state"] for each in trials]

            await eventually(without_objects, "the page shows archived trials")

            # An open page ends with its viewer's token.
            async with site.open(f"{root}/stream", full) as response:
                await next_event(response)
                kubectl("delete", "serviceaccount", "-n", namespace, "full")
                assert await _ended(response) == "expired"
