"""The documentation on a cluster: the server takes its manifests, and its commands run."""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from hack.chart import helm
from hyperband.api.files import read_documents
from hyperband.backends.kubernetes.objects import TRIALS
from tests.cluster.harness import GOOD, Bench, bench, eventually, running_operator, trainer
from tests.docs.documents import PAGES, Block, blocks
from tests.docs.workplace import HELM, KUBECTL, Workplace, as_study, base_study

pytestmark = pytest.mark.cluster

BLOCKS: Final = {page: blocks(page) for page in PAGES}
MANIFESTS: Final = [
    block
    for found in BLOCKS.values()
    for block in found
    if block.language == "yaml" and block.kind != "not run"
]
ON_A_CLUSTER: Final = [
    page for page, found in BLOCKS.items() if any(block.kind == "cluster" for block in found)
]
ARCHIVED: Final = "docs/concepts/archives.md"


@pytest.mark.parametrize("block", MANIFESTS, ids=str)
def test_the_server_takes_the_manifest(bare_namespace: str, kubeconfig: Path, block: Block) -> None:
    (document,) = read_documents(block.text.encode(), str(block))
    done = subprocess.run(
        ["kubectl", "apply", "-n", bare_namespace, "--dry-run=server", "--validate=strict", "-f-"],
        input=yaml.safe_dump(as_study(document.content)),
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def study_that_ends(page: str) -> dict[str, Any]:
    """A study `digits` with nine trials, which are archived for the page on archives."""
    body = base_study()
    code = GOOD.replace('parameters()["x"]', 'parameters()["learning_rate"]')
    container = body["spec"]["trialTemplate"]["spec"]["containers"][0]
    container["command"] = trainer(code.replace("loss=", "val_loss="))
    if page == ARCHIVED:
        body["spec"]["retention"] = {"trials": 0}
    return body


async def archived(there: Bench) -> None:
    """Waits until the study's trials are; they wait for their pods to be gone."""
    kubectl = ["kubectl", "delete", "pods", "--all", "--wait=false", "-n", there.namespace]
    await asyncio.to_thread(subprocess.run, kubectl, check=True)

    async def done() -> bool:
        return not await there.objects(TRIALS, "digits")

    await eventually(done, "the trials of digits are archived")


@pytest.mark.parametrize("page", ON_A_CLUSTER)
async def test_commands_run_on_a_cluster(
    kubeconfig: Path, namespace: str, tmp_path: Path, page: str
) -> None:
    place = Workplace(tmp_path / "place", {"kubectl": KUBECTL, "helm": HELM})
    mine = tmp_path / "kubeconfig"
    shutil.copy(kubeconfig, mine)
    place.environment |= {
        "KUBECONFIG": str(mine),
        "KUBECTL": str(shutil.which("kubectl")),
        "HELM": helm.program(),
    }
    set_namespace = ["kubectl", "config", "set-context", "--current", f"--namespace={namespace}"]
    subprocess.run([*set_namespace, f"--kubeconfig={mine}"], check=True)
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(str(kubeconfig), namespace) as there:
            await there.apply(study_that_ends(page))
            await there.finished("digits")
            if page == ARCHIVED:
                await archived(there)
            # A page that submits a study is followed from its first line to its last.
            whole = any(block.kind == "file" for block in BLOCKS[page])
            steps = [b for b in BLOCKS[page] if whole or b.kind in ("cluster", "into")]
            await asyncio.to_thread(place.follow, steps, namespace)
