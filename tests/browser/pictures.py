"""`make screenshots`: pictures of the page for the documentation, of simulated studies."""

import io
import sys
from datetime import timedelta
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from hack import browser as browsers
from hack import page as pages
from hack.cluster import paths
from tests.browser.frames import next_frame
from tests.browser.shown import SECONDS, study
from tests.browser.stage import Stage, staged
from tests.cli.plot_studies import START

FOLDER: Final = paths.REPOSITORY / "docs" / "pictures"
WIDE, PHONE = {"width": 1120, "height": 640}, {"width": 390, "height": 844}
STUDY: Final = "#/studies/default/digits"
TRIAL: Final = "#/trials/default/digits/29"
# Name, place, colours, window.
PICTURES: Final = (
    ("studies", "#/", "light", WIDE),
    ("ladder", STUDY, "light", WIDE),
    ("ladder-dark", STUDY, "dark", WIDE),
    ("ladder-phone", STUDY, "light", PHONE),
    ("curves", f"{STUDY}/curves", "light", WIDE),
    ("best", f"{STUDY}/best", "light", WIDE),
    ("parallel", f"{STUDY}/parallel", "light", WIDE),
    ("parallel-dark", f"{STUDY}/parallel", "dark", WIDE),
    ("pairs", f"{STUDY}/pairs", "light", WIDE),
    ("importance", f"{STUDY}/importance", "light", WIDE),
    ("timeline", f"{STUDY}/timeline", "light", WIDE),
    ("timeline-dark", f"{STUDY}/timeline", "dark", WIDE),
    ("decisions", f"{STUDY}/decisions", "light", WIDE),
    ("trials", f"{STUDY}/trials", "light", WIDE),
    ("trial", TRIAL, "light", WIDE),
    ("trial-phone", TRIAL, "dark", PHONE),
)
COLOURS: Final = 256
MOST_HEIGHT: Final = {WIDE["width"]: 1300, PHONE["width"]: 1600}


def main() -> int:
    pages.ensure(paths.REPOSITORY)
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[1:] or [name for name, *_ in PICTURES]
    with (
        staged([study(seconds=SECONDS), study(name="digits-baseline")]) as stage,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=browsers.program(), args=browsers.arguments(), timeout=120_000
        )
        for name, place, colours, window in PICTURES:
            if name in wanted:
                path = FOLDER / f"dashboard-{name}.png"
                path.write_bytes(_taken(browser, stage, place, colours, window))
                print(f"{path.stat().st_size / 1024:6.1f} KiB  {path.relative_to(Path.cwd())}")
        browser.close()
    return 0


def _taken(
    browser: Browser, stage: Stage, place: str, colours: str, window: dict[str, int]
) -> bytes:
    context = browser.new_context(
        viewport=window,  # type: ignore[arg-type]
        color_scheme=colours,  # type: ignore[arg-type]
        timezone_id="UTC",
    )
    context.set_default_timeout(120_000)
    page = context.new_page()
    # As if the study ran today: the same picture each time.
    page.clock.set_fixed_time(START + timedelta(seconds=SECONDS + 10))
    page.goto(stage.link)
    expect(page.get_by_role("heading", level=1)).to_have_text("Studies")
    page.goto(stage.address + place)
    _settle(page)
    taken = page.screenshot(full_page=True)
    context.close()
    picture = Image.open(io.BytesIO(taken)).convert("RGB")
    height = min(picture.height, MOST_HEIGHT[window["width"]])
    picture = picture.crop((0, 0, picture.width, height))
    out = io.BytesIO()
    # By the range of colours, not by how often each is there: small marks keep theirs.
    small = picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small.save(out, "PNG", optimize=True)
    return out.getvalue()


def _settle(page: Page) -> None:
    if "/studies/" in page.url or "/trials/" in page.url:
        expect(page.get_by_text("live", exact=True)).to_be_visible()
    expect(page.locator("[aria-busy]")).to_have_count(0)
    page.evaluate("() => document.activeElement.blur()")
    next_frame(page)


if __name__ == "__main__":
    sys.exit(main())
