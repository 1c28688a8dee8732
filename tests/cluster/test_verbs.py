"""All verbs of the command line that talk to a cluster, on one small study of a real one."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.harness import (
    GOOD,
    PROGRAM,
    bench,
    condition,
    eventually,
    running_operator,
    study,
    trainer,
)

pytestmark = pytest.mark.cluster


# Its first attempt holds still until it is interrupted, however slow the machine is; the ones after
# it train. There are as many trials as may run at a time, so that all are interrupted.
PATIENT = f"""
import os, time
if os.environ.get("HYPERBAND_ATTEMPT") == "0":  # the best one is trained outside of any
    time.sleep(3600)
{GOOD}"""


class CommandLine:
    """`hyperband` as a person of a namespace runs it."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._flags = ("--kubeconfig", str(kubeconfig), "-n", namespace)

    async def __call__(self, *words: str, code: int = 0, stdin: str | None = None) -> str:
        """What it has written, on both channels; it must exit with `code`."""
        done = await asyncio.to_thread(
            subprocess.run,
            [*PROGRAM, words[0], *self._flags, *words[1:]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            input=stdin,
            timeout=180,
            check=False,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    async def json(self, *words: str) -> Any:
        return json.loads(await self(*words, "-o", "json"))


async def test_a_study_from_its_file_to_its_best(
    kubeconfig: Path, namespace: str, tmp_path: Path
) -> None:
    hyperband, file = CommandLine(kubeconfig, namespace), tmp_path / "study.yaml"
    body = study("verbs", trainer(PATIENT), maxTrials=4)
    file.write_text(yaml.safe_dump(body))
    with running_operator(namespace, tmp_path / "log"):
        async with bench(str(kubeconfig), namespace) as there:
            assert "study verbs created" in await hyperband("submit", str(file))
            assert "study verbs unchanged" in await hyperband("submit", str(file))

            async def runs() -> Any:
                trials = (await hyperband.json("describe", "verbs"))["runningTrials"]
                return len(trials) == 4 and all(each["state"] == "Running" for each in trials)

            await eventually(runs, "all trials run")
            assert "trains up to epochs 1" in await hyperband("explain", "verbs-0")
            assert "is being suspended" in await hyperband("suspend", "verbs")

            async def suspended() -> bool:
                row = (await hyperband.json("list"))[0]
                return row["status"] == "Suspended" and row["running"] == 0

            await eventually(suspended, "nothing runs")
            assert "suspended already" in await hyperband("suspend", "verbs")
            assert "it is suspended" in await hyperband("submit", str(file))
            assert "goes on" in await hyperband("resume", "verbs")
            watched = await hyperband("submit", "--watch", str(file))
            assert "Exhausted: " in watched
            done = await there.study("verbs")
            assert condition(done, "Succeeded") == "True"
            await look_back(hyperband, done["status"]["best"])


async def look_back(hyperband: CommandLine, best: dict[str, Any]) -> None:
    """At a study that is over."""
    name = best["trial"]
    described = await hyperband("describe", "verbs")
    for word in ("Exhausted", "best: loss", "rungs", name, "GPU-hours", "Promoted"):
        assert word in described
    assert (await hyperband.json("list"))[0]["best"] == best["value"]
    assert best["text"] in await hyperband("best", "verbs")
    env = await hyperband("best", "verbs", "-o", "env")
    assert "export HYPERBAND_PARAM_X=" in env
    ends = {"pod": "jsonpath={.status.phase}=Succeeded", "job": "condition=Complete"}
    for kind, over in ends.items():
        manifest = await hyperband("best", "verbs", "--manifest", kind)
        place = ("-n", yaml.safe_load(manifest)["metadata"]["namespace"])
        await kubectl("create", "-f", "-", stdin=manifest)
        await kubectl("wait", *place, f"--for={over}", f"{kind}/verbs-best", "--timeout=180s")
        log = await kubectl("logs", *place, f"{kind}/verbs-best")
        assert "epoch 9" in log  # the job finds the pod's checkpoint
    assert "epoch 9" in await hyperband("logs", name)
    assert "epoch 1" in await hyperband("logs", name, "--attempt", "1")
    assert "its containers are train" in await hyperband("logs", name, "-c", "nosuch", code=2)
    told = await hyperband.json("explain", name)
    texts = [step["text"] for step in told["steps"]]
    assert any(text.startswith("promoted to epochs 9") for text in texts)
    assert "completed: trained in full" in texts
    assert told["gpuSeconds"] > 0
    exported = await hyperband("export", "verbs", "--rows", "values")
    assert len(exported.splitlines()) - 1 == described_values(
        await hyperband.json("describe", "verbs")
    )
    compared = await hyperband.json("compare", "verbs")
    assert compared["studies"][0]["best"] == best["value"]
    assert "is finished already" in await hyperband("stop", "verbs")
    assert "is finished" in await hyperband("suspend", "verbs", code=1)
    assert "there is no study 'nosuch'" in await hyperband("describe", "nosuch", code=1)


async def kubectl(*words: str, stdin: str | None = None) -> str:
    """What it has written; it must not fail."""
    called = ["kubectl", *words]
    return await asyncio.to_thread(subprocess.check_output, called, input=stdin, text=True)


def described_values(described: dict[str, Any]) -> int:
    """How many values all rungs have."""
    return sum(rung["trials"] for each in described["brackets"] for rung in each["rungs"])
