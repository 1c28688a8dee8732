"""A browser, and the page that is built of these sources."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from hack import browser as browsers
from hack import page as pages
from hack.cluster import paths
from hack.cluster.run import ClusterError
from tests.browser.shown import SECONDS, study
from tests.browser.stage import Stage, staged


# Of a module: while it lasts, no other loop of asyncio can run in this thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Where it or npm is not to be had, only CI fails."""
    try:
        pages.ensure(paths.REPOSITORY)
        program = browsers.program()
    except ClusterError as lacking:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(lacking))
    expect.set_options(timeout=60_000)  # the machine may be busy
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program, args=browsers.arguments(), timeout=120_000
        )
        yield chromium
        chromium.close()


class Window:
    """A browser's window; a test fails where the page has written an error to its console."""

    def __init__(self, context: BrowserContext) -> None:
        self.wrong: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))

    def _hear(self, message: ConsoleMessage) -> None:
        # Of answers that are no 200 the browser writes by itself: tests of those look at the page.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.wrong.append(message.text)


Opener = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Opener]:
    """Opens an address in a new window; options are playwright's of a context."""
    windows: list[Window] = []
    contexts: list[BrowserContext] = []

    def opened(address: str, **options: Any) -> Page:
        options.setdefault("viewport", {"width": 1200, "height": 800})
        context = browser.new_context(**options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        windows.append(Window(context))
        windows[-1].page.goto(address)
        return windows[-1].page

    yield opened
    for context in contexts:
        context.close()
    assert [each.wrong for each in windows if each.wrong] == []


@pytest.fixture(scope="module")
def running(browser: Browser) -> Iterator[Stage]:
    """A study that runs, one that is over, and one without trials. The page is built first."""
    new = (study(seconds=0.0, name="new")[0], [])
    with staged([study(seconds=SECONDS), study(name="over"), new]) as stage:
        yield stage
