"""The page in a browser while a study runs on the real cluster."""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from hack import browser as browsers
from hack import page as pages
from hack.cluster import paths
from hyperband.backends.kubernetes.objects import STUDIES
from tests.cluster.harness import TIMEOUT, bench, running_operator, study, trainer

pytestmark = pytest.mark.cluster

WAIT = TIMEOUT * 1000
# Each number of values that the lowest rung was seen with, as it was drawn.
WATCH = """() => {
  window.seen = [];
  const look = () => {
    const cell = document.querySelector('table.rungs tbody tr td.number');
    const text = cell && cell.textContent;
    if (text && window.seen[window.seen.length - 1] !== text) window.seen.push(text);
  };
  const all = { subtree: true, childList: true, characterData: true };
  new MutationObserver(look).observe(document, all);
  look();
}"""


@contextmanager
def served(namespace: str, kubeconfig: Path, log: Path) -> Iterator[str]:
    """`hyperband dashboard`; the address that it writes."""
    command = [sys.executable, "-m", "hyperband.cli", "dashboard", "-n", namespace]
    command += ["--listen", "127.0.0.1:0", "--kubeconfig", str(kubeconfig)]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ
        )
        try:
            assert process.stdout is not None
            link = process.stdout.readline().strip()
            assert link.startswith("http://127.0.0.1:"), log.read_text()
            yield link
        finally:
            process.terminate()
            process.wait(30)


@asynccontextmanager
async def opened(link: str) -> AsyncIterator[Page]:
    """A window of Chromium there."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=browsers.program(), args=browsers.arguments(), timeout=WAIT
        )
        page = await browser.new_page()
        page.set_default_timeout(WAIT)
        await page.goto(link)
        yield page
        await browser.close()


async def test_the_ladder_fills_while_a_study_runs(
    kubeconfig: Path, namespace: str, tmp_path: Path
) -> None:
    pages.ensure(paths.REPOSITORY)
    expect.set_options(timeout=WAIT)
    with (
        running_operator(namespace, tmp_path / "operator.log"),
        served(namespace, kubeconfig, tmp_path / "dashboard.log") as link,
    ):
        async with bench(str(kubeconfig), namespace) as here, opened(link) as page:
            # It waits until somebody looks.
            await here.apply(study("ladder", trainer(pause=0.5), suspend=True))
            await page.get_by_role("link", name="ladder", exact=True).click()
            await expect(page.get_by_text("live", exact=True)).to_be_visible()
            await expect(page.locator("table.rungs")).to_be_visible()
            await page.evaluate(WATCH)
            begin = {"spec": {"suspend": False}}
            await here.client.patch(STUDIES, namespace, "ladder", begin, dict)
            await here.finished("ladder")
            trials = await here.trials("ladder")
            await expect(page.locator(".facts")).to_contain_text("Took")
            await check_ladder(page, trials)
            await check_trial(page, trials)


async def check_ladder(page: Page, trials: list[dict[str, Any]]) -> None:
    """It has all that was recorded, and had it while it came."""
    rows = page.locator("table.rungs tbody tr")
    for level in range(3):
        recorded = sum(len(each["status"].get("rungs", [])) > level for each in trials)
        values = rows.nth(level).get_by_role("cell").nth(1)
        await expect(values).to_have_text(str(recorded))
    seen = list(map(int, await page.evaluate("window.seen")))
    assert seen == sorted(seen), seen
    assert len(seen) >= 4, f"it was not seen to fill: {seen}"


async def check_trial(page: Page, trials: list[dict[str, Any]]) -> None:
    """A trial's page has its attempts, its events and what its last pod wrote."""
    index = max(trials, key=lambda each: each["status"]["attempt"])["spec"]["index"]
    await page.get_by_role("link", name="Trials").click()
    await page.get_by_role("link", name=f"ladder-{index}", exact=True).click()
    attempts = page.get_by_role("region", name="Table of attempts")
    await expect(attempts).to_contain_text(f"ladder-{index}-1")
    log = page.get_by_role("region", name=re.compile("^Log of attempt"))
    await expect(log).to_contain_text("resumed from epoch")
    await expect(page.get_by_role("img", name=re.compile("^Chart"))).to_be_visible()
