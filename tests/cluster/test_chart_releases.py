"""Upgraded, rolled back, uninstalled and installed again, while a study runs.

The version before is the chart as it is, under another number, with an image of the same content,
and a definition that lacks a column.
"""

import asyncio
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.chart.files import CHART
from hack.cluster.paths import REPOSITORY
from hyperband.version import VERSION
from tests.cluster.harness import (
    Bench,
    Census,
    bench,
    census,
    check_promotions,
    check_records,
    condition,
    eventually,
    study,
    trainer,
)
from tests.cluster.releases import SYSTEM, Release, load_image, objects, restore, retag, run

pytestmark = pytest.mark.cluster

BEFORE = "0.0.9"
REPOSITORY_OF_IMAGE = "hyperband.dev/hyperband-operator"
COLUMN = "Best"
TRIALS = 16
DEFINITIONS = ("hyperbandarchives", "hyperbandstudies", "hyperbandtrials")


@pytest.fixture
def release(kubeconfig: str) -> Iterator[Release]:
    """Not yet installed."""
    load_image()
    retag(REPOSITORY_OF_IMAGE, VERSION, BEFORE)
    under_test = Release("hyperband-operator", SYSTEM)
    try:
        yield under_test
    finally:
        if under_test.helm("list", "--short").split() == [under_test.name]:
            under_test.uninstall()
        restore()


def chart_before(folder: Path) -> Path:
    """A package of the version before."""
    source = folder / "chart"
    shutil.copytree(REPOSITORY / CHART, source)
    definition = source / "templates/crds/hyperbandstudies.yaml"
    text = definition.read_text(encoding="utf-8")
    without = re.sub(rf"        - name: {COLUMN}\n(?:          .*\n)+", "", text)
    assert without != text
    definition.write_text(without, encoding="utf-8")
    numbers = (f"--version={BEFORE}", f"--app-version={BEFORE}")
    run("helm", "package", str(source), *numbers, f"--destination={folder}")
    return folder / f"hyperband-operator-{BEFORE}.tgz"


def columns() -> set[str]:
    body = objects("crd", "hyperbandstudies.hyperband.dev")
    return {each["name"] for each in body["spec"]["versions"][0]["additionalPrinterColumns"]}


def image(release: Release) -> str:
    deployment = objects("deployment", "-n", SYSTEM, release.full_name)
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


class Running:
    """A study that goes on through all of it, and what of it must not get lost."""

    def __init__(self, here: Bench, counted: Census) -> None:
        self._here, self._counted = here, counted
        self.values = 0

    async def through(self, what: str, change: Callable[[], None]) -> None:
        """Does something to the operator while trials run, and waits until the study has gone on.

        Whatever trial pods were there stay.
        """

        async def alive() -> bool:  # an operator that is new may have yet to make the next ones
            return bool(self._counted.alive)

        await eventually(alive, f"trials run before {what}")
        before = {pod.metadata.name: pod.metadata.uid for pod in await self._here.pods("kept")}
        assert condition(await self._here.study("kept"), "Finished") != "True"
        await asyncio.to_thread(change)
        after = {pod.metadata.name: pod.metadata.uid for pod in await self._here.pods("kept")}
        assert before.items() <= after.items(), f"{what} has touched trial pods"

    async def goes_on(self) -> None:
        found = await self._recorded()
        assert found >= self.values, "nothing is lost"
        self.values = found

        async def more() -> bool:
            return await self._recorded() > found

        await eventually(more, "the study has another value")

    async def _recorded(self) -> int:
        trials = await self._here.trials("kept")
        return sum(len(t.get("status", {}).get("rungs", [])) for t in trials)


async def test_from_version_to_version_with_a_study_running(
    kubeconfig: str, namespace: str, release: Release, tmp_path: Path
) -> None:
    now, old = release.chart, chart_before(tmp_path)
    async with bench(kubeconfig, namespace) as here, census(here) as counted:
        release.chart = old
        release.install("--take-ownership")
        assert image(release).endswith(BEFORE)
        assert COLUMN not in columns()
        await here.apply(study("kept", trainer(pause=3.0), maxTrials=TRIALS))
        running = Running(here, counted)
        await running.goes_on()

        release.chart = now
        await running.through("an upgrade", release.upgrade)
        assert image(release).endswith(VERSION)
        assert COLUMN in columns(), "definitions are upgraded too"
        await running.goes_on()

        await running.through("a rollback", lambda: rollback(release))
        assert image(release).endswith(BEFORE)
        assert COLUMN not in columns()
        await running.goes_on()

        await running.through("an uninstallation", release.uninstall)
        assert not objects("deployment", "-n", SYSTEM, "--ignore-not-found", release.full_name)
        assert {f"{each}.hyperband.dev" for each in DEFINITIONS} <= definitions()
        assert (await here.study("kept"))["spec"]["maxTrials"] == TRIALS

        release.install()  # adopts definitions that were kept for it
        assert COLUMN in columns()
        await running.goes_on()
        body = await here.finished("kept")
        trials = await here.trials("kept")
        said = release.log()
    assert condition(body, "Succeeded") == "True"
    check_records(trials, TRIALS)
    check_promotions(trials, eta=3)
    assert all(t["status"]["failures"] == 0 for t in trials)
    assert all(t["status"]["disruptions"] == 0 for t in trials)
    assert not counted.twice
    assert counted.most <= 4
    assert "Traceback" not in said


def rollback(release: Release) -> None:
    release.helm("rollback", release.name, "1", "--wait", "--timeout=4m")


def definitions() -> set[str]:
    return {body["metadata"]["name"] for body in objects("crd")["items"]}
