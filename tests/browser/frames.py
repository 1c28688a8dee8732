"""When a page has drawn what there is to draw."""

from playwright.sync_api import Page


def next_frame(page: Page) -> None:
    """What is to be drawn is in the picture by then."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
