"""Every view of the page, as a person sees it, and as one who uses no pointer does."""

import re
from itertools import combinations
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from hack import page as pages
from hack.cluster import paths
from hyperband.dashboard import pods
from hyperband.plots.pairs import MAX_DIMENSIONS
from tests.browser.conftest import Opener
from tests.browser.frames import next_frame
from tests.browser.stage import TOKEN, Stage

VIEWS = {
    "ladder": "Ladder of rungs",
    "curves": "Learning curves",
    "best": "Best value so far",
    "parallel": "Parameters and values",
    "pairs": "Pairs of parameters",
    "importance": "What the value depends on",
    "timeline": "Slots over time",
    "decisions": "Decisions and their reasons",
    "trials": "Trials",
}
STUDY = "#/studies/default/digits"
PLACES = ["#/", *(f"{STUDY}/{view}" for view in VIEWS), "#/trials/default/digits/3"]


def go(page: Page, stage: Stage, place: str) -> None:
    """To a place, until what is there has come."""
    page.goto(stage.address + place)
    expect(page.locator("main h1")).to_be_visible()
    expect(page.locator("[aria-busy]")).to_have_count(0)
    next_frame(page)


def drawn(page: Page) -> int:
    """How many charts have something on them but their ground."""
    return int(
        page.evaluate(
            """() => [...document.querySelectorAll('.canvas canvas')].filter(canvas => {
                 const { width, height } = canvas;
                 const data = canvas.getContext('2d').getImageData(0, 0, width, height).data;
                 return data.some(byte => byte !== 0);
               }).length"""
        )
    )


def test_the_list_leads_to_a_study_and_back(running: Stage, open_page: Opener) -> None:
    page = open_page(running.link)
    expect(page.get_by_role("row")).to_have_count(4)  # with the head
    page.get_by_role("link", name="digits", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("digits")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.get_by_role("link", name="Curves").click()
    expect(page.get_by_role("heading", level=2)).to_have_text("Learning curves")
    page.reload()
    expect(page.get_by_role("heading", level=2)).to_have_text("Learning curves")
    page.go_back()
    expect(page.get_by_role("heading", level=2)).to_have_text("Ladder of rungs")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Studies")


def test_the_token_is_not_in_the_address(running: Stage, open_page: Opener) -> None:
    page = open_page(running.link)
    expect(page.get_by_role("heading", level=1)).to_have_text("Studies")
    assert TOKEN not in page.url
    assert page.evaluate("sessionStorage.length") == 1
    assert page.evaluate("localStorage.length") == 0
    page.go_back()  # there is nothing before it that would have the token
    assert TOKEN not in page.url


def test_who_leaves_as_the_page_appears_gets_there(running: Stage, open_page: Opener) -> None:
    """Between the first drawing and the listening after it, a browser may take a while."""
    page = open_page(running.link)
    page.add_init_script(
        """new MutationObserver((_, observer) => {
             if (!document.querySelector('main')) return;
             observer.disconnect();
             location.hash = '#/studies/default/digits/curves';
           }).observe(document, { childList: true, subtree: true })"""
    )
    page.reload()
    expect(page.get_by_role("heading", level=2)).to_have_text("Learning curves")


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_shows_something(running: Stage, open_page: Opener, view: str) -> None:
    page = open_page(running.link)
    go(page, running, f"{STUDY}/{view}")
    expect(page.locator("h2").first).to_have_text(VIEWS[view])
    # No model has predicted anything here, and a note says so.
    expect(page.get_by_text("Nothing to draw yet.")).to_have_count(int(view == "importance"))
    charts = page.get_by_role("img", name=re.compile("^Chart:"))
    assert drawn(page) == charts.count()
    if view in ("curves", "best", "parallel", "pairs", "importance", "timeline"):
        assert charts.count() > 0
    else:
        assert page.get_by_role("link", name=re.compile(r"^digits-\d+$")).count() > 3


def test_an_empty_figure_says_why(running: Stage, open_page: Opener) -> None:
    page = open_page(running.link)
    for view, why in {
        "curves": "No trial has reported a value yet.",
        "best": "No trial has a value at a rung yet.",
        "timeline": "No pod has started yet.",
    }.items():
        go(page, running, f"#/studies/default/new/{view}")
        expect(page.locator("figure .empty")).to_have_text(why)


def test_the_ladder_has_what_is_recorded(running: Stage, open_page: Opener) -> None:
    page = open_page(running.link)
    go(page, running, STUDY)
    rows = page.get_by_role("table", name="Rungs of digits").get_by_role("row")
    expect(rows).to_have_count(5)
    first = rows.nth(1)
    expect(first.get_by_role("rowheader")).to_have_text("1")
    expect(first.get_by_role("cell").nth(1)).to_have_text("36")
    page.get_by_role("link", name=re.compile(r"^digits-\d+$")).first.click()
    expect(page.get_by_role("heading", name="Learning curve")).to_be_visible()


def test_a_line_of_a_chart_leads_to_its_trial(running: Stage, open_page: Opener) -> None:
    page = open_page(running.link)
    go(page, running, f"{STUDY}/curves")
    box = page.locator(".canvas").bounding_box()
    assert box is not None
    # Down through the middle, where all lines of those that went on pass.
    for y in range(40, int(box["height"]) - 40, 3):
        page.mouse.click(box["x"] + box["width"] * 0.4, box["y"] + y)
        # As the page has it: a step within it is told of later, and the next click would go astray.
        if "/trials/" in page.evaluate("location.hash"):
            break
    expect(page.get_by_role("heading", name="Story")).to_be_visible()


def test_a_chart_can_be_read_as_a_table(running: Stage, open_page: Opener) -> None:
    page = open_page(running.link)
    go(page, running, f"{STUDY}/curves")
    page.get_by_text("The data as a table").click()
    table = page.get_by_role("region", name=re.compile("^Table: digits: learning curves"))
    expect(table.get_by_role("rowheader")).to_have_count(36)
    expect(table.get_by_role("link", name="digits-29")).to_be_visible()


def test_parallel_coordinates_are_brushed_on_an_axis(running: Stage, open_page: Opener) -> None:
    page = open_page(running.link)
    go(page, running, f"{STUDY}/parallel")
    box = page.locator(".canvas").bounding_box()
    assert box is not None
    # Along the first axis, its upper half.
    page.mouse.move(box["x"] + 56, box["y"] + 54)
    page.mouse.down()
    page.mouse.move(box["x"] + 56, box["y"] + 120, steps=4)
    page.mouse.move(box["x"] + 56, box["y"] + 210, steps=4)
    page.mouse.up()
    next_frame(page)  # it is brushed on the way there, too
    heading = page.get_by_role("heading", name=re.compile(r"^\d+ of 36 trials within bounds"))
    expect(heading).to_be_visible()
    found = int((heading.text_content() or "").split()[0])
    assert 0 < found < 36
    rates = page.locator("section td:nth-child(4)").all_text_contents()
    assert min(map(float, rates)) > 0.003  # the lower half goes from 0.0001 to 0.01
    page.get_by_text("Set bounds by numbers").click()
    low = page.get_by_role("group", name="learning_rate").get_by_label("from")
    expect(low).not_to_have_value("")


def test_parallel_coordinates_are_brushed_by_numbers(running: Stage, open_page: Opener) -> None:
    page = open_page(running.link)
    go(page, running, f"{STUDY}/parallel")
    page.get_by_text("Set bounds by numbers").click()
    heading = page.get_by_role("heading", name=re.compile("of 36 trials within bounds"))
    page.get_by_role("group", name="activation").get_by_label("relu").uncheck()
    expect(heading).to_be_visible()
    by_kind = heading.text_content() or ""
    page.get_by_role("group", name="val_loss").get_by_label("to").fill("1.2")
    page.keyboard.press("Enter")
    expect(heading).not_to_have_text(by_kind)
    columns = page.locator("section thead th").all_text_contents()
    activation = columns.index("activation")
    rows = page.locator("section tbody tr")
    kinds = [row.locator("th, td").nth(activation).text_content() for row in rows.all()]
    values = [float(row.locator("td").first.text_content() or "") for row in rows.all()]
    assert set(kinds) == {"tanh"}
    assert max(values) <= 1.2
    page.get_by_role("button", name="Clear all bounds").click()
    expect(page.get_by_role("heading", name="The best trials")).to_be_visible()


def test_each_pair_of_parameters_is_drawn_by_value(running: Stage, open_page: Opener) -> None:
    page = open_page(running.link)
    go(page, running, f"{STUDY}/pairs")
    charts = page.get_by_role("img", name=re.compile("^Chart: digits: pairs of parameters"))
    words = [chart.get_attribute("aria-label") or "" for chart in charts.all()]
    axes = [re.findall(r"Axes: (\w+) and (\w+)\.", each)[0] for each in words]
    names = list(dict.fromkeys(name for pair in axes for name in pair))
    assert len(names) == MAX_DIMENSIONS and axes == list(combinations(names, 2))
    assert "1 best" in words[0]
    expect(page.get_by_text("parameters on which the value depends most")).to_be_visible()
    expect(page.locator(".scale")).to_contain_text("val_loss")
    # The darkest of the ramp is the best, and what is worst is there, too.
    colours = page.evaluate(
        """() => {
             const css = getComputedStyle(document.documentElement);
             const canvas = document.querySelector('.canvas canvas');
             const { width, height } = canvas;
             const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
             const seen = new Set();
             for (let i = 0; i < data.length; i += 4) seen.add(data.slice(i, i + 3).join());
             return ['rank-0', 'rank-5', 'rank-11'].map(name => {
               const hex = parseInt(css.getPropertyValue(`--${name}`).trim().slice(1), 16);
               return seen.has([hex >> 16, (hex >> 8) & 255, hex & 255].join());
             });
           }"""
    )
    assert colours == [True, True, True]


def test_the_best_value_is_drawn_over_what_is_chosen(running: Stage, open_page: Opener) -> None:
    page = open_page(running.link)
    go(page, running, f"{STUDY}/best")
    page.get_by_label("GPU-hours").check()
    expect(page.get_by_role("img", name=re.compile("GPU-hours spent"))).to_be_visible()
    assert page.url.endswith("?over=gpu-hours")
    page.reload()
    expect(page.get_by_role("img", name=re.compile("GPU-hours spent"))).to_be_visible()


def test_trials_are_sorted_and_filtered(running: Stage, open_page: Opener) -> None:
    page = open_page(running.link)
    go(page, running, f"{STUDY}/trials")
    page.get_by_role("button", name="trial", exact=True).click()
    expect(page.locator("tbody th").first).to_have_text("digits-0")
    page.get_by_role("button", name=re.compile("^trial")).click()
    expect(page.locator("tbody th").first).to_have_text("digits-35")
    head = page.get_by_role("columnheader", name=re.compile("^trial"))
    expect(head).to_have_attribute("aria-sort", "descending")
    page.get_by_label("State").select_option("Running")
    expect(page.locator("tbody tr")).to_have_count(6)
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(6)


def test_a_trial_tells_all_that_is_known_of_it(running: Stage, open_page: Opener) -> None:
    running.source.told = [
        pods.event(
            {
                "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
                "type": "Warning",
                "reason": "BackOff",
                "message": "<b>pulling</b> failed",
                "involvedObject": {"kind": "Pod", "name": "digits-29-1"},
                "firstTimestamp": "2026-01-01T00:00:00Z",
                "lastTimestamp": "2026-01-01T00:05:07Z",
                "count": 3,
            }
        )
    ]
    waits = {"reason": "ErrImagePull", "message": "<i>no</i> such image"}
    running.source.standing = [
        pods.row(
            {
                "metadata": {"name": "digits-29-1"},
                "spec": {},
                "status": {
                    "phase": "Pending",
                    "initContainerStatuses": [
                        {"name": "data", "state": {"terminated": {"exitCode": 0}}},
                    ],
                    "containerStatuses": [
                        {"name": "train", "state": {"waiting": waits}, "restartCount": 2},
                        {"name": "reporter", "state": {"running": {}}},
                    ],
                },
            }
        )
    ]
    page = open_page(running.link, timezone_id="UTC")
    go(page, running, "#/trials/default/digits/29")
    titles = page.get_by_role("heading", level=2).all_text_contents()
    assert titles == [
        *("Parameters", "Learning curve", "Story", "Attempts", "Pods now", "Events", "Logs")
    ]
    event = page.get_by_role("list", name=re.compile("^Events")).get_by_role("listitem")
    expect(event.locator(".why")).to_have_text(  # no markup
        "digits-29-1: <b>pulling</b> failed (3 times since 2026-01-01 00:00:00)"
    )
    expect(page.get_by_role("region", name="Table of pods").locator("tbody .reason")).to_have_text(
        "train waiting, restarted 2 times: ErrImagePull: <i>no</i> such image"
    )
    expect(event.locator(".when")).to_have_text("2026-01-01 00:05:07")
    expect(page.get_by_role("region", name=re.compile("^Log of attempt"))).to_contain_text(
        "epoch 1: loss 0.5"
    )
    expect(page.get_by_role("region", name="Table of attempts")).to_contain_text("Disrupted")
    assert drawn(page) == 1


def test_a_trial_of_a_laptop_has_processes(
    running: Stage, open_page: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running.source, "local", True)
    page = open_page(running.link)
    go(page, running, "#/trials/default/digits/29")
    titles = page.get_by_role("heading", level=2).all_text_contents()
    assert titles == ["Parameters", "Learning curve", "Story", "Attempts", "Logs"]
    table = page.get_by_role("region", name="Table of attempts")
    assert table.locator("thead").inner_text().split()[:2] == ["process", "machine"]


def test_a_place_that_is_none_is_told_of(running: Stage, open_page: Opener) -> None:
    page = open_page(running.link)
    expect(page.get_by_role("heading", level=1)).to_have_text("Studies")
    page.goto(f"{running.address}#/nowhere/at/all")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such place")
    page.goto(f"{running.address}#/studies/default/gone")
    expect(page.get_by_role("alert")).to_contain_text("There is no study gone")


def test_all_can_be_reached_by_keyboard(running: Stage, open_page: Opener) -> None:
    page = open_page(running.link)
    expect(page.get_by_role("link", name="digits", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="digits", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    wanted = "Parallel"
    expect(page.get_by_role("link", name=wanted)).to_be_visible()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == wanted:
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2)).to_have_text("Parameters and values")
    # The tabs keep the focus: the next one is a step away.
    expect(page.get_by_role("link", name=wanted)).to_be_focused()


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_colours_are_the_systems_or_those_chosen(
    running: Stage, open_page: Opener, colours: str
) -> None:
    page = open_page(running.link, color_scheme=colours)
    other = {"light": "dark", "dark": "light"}[colours]
    ground = "getComputedStyle(document.body).backgroundColor"
    expect(page.locator("html")).to_have_attribute("data-theme", colours)
    before = page.evaluate(ground)
    page.get_by_label("Colours").select_option(other)
    expect(page.locator("html")).to_have_attribute("data-theme", other)
    assert page.evaluate(ground) != before
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", other)


def test_nothing_is_wider_than_a_phone(running: Stage, open_page: Opener) -> None:
    page = open_page(running.link, viewport={"width": 390, "height": 844}, has_touch=True)
    expect(page.get_by_role("heading", level=1)).to_have_text("Studies")
    for place in PLACES:
        go(page, running, place)
        wide = page.evaluate(
            "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, place


def test_nothing_comes_from_elsewhere(running: Stage, open_page: Opener) -> None:
    page = open_page("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(running.link)
    expect(page.get_by_role("heading", level=1)).to_have_text("Studies")
    for place in PLACES:
        go(page, running, place)
    assert len(asked) > len(PLACES)
    assert [url for url in asked if not url.startswith(running.address)] == []


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_no_rule_of_axe_is_broken(running: Stage, open_page: Opener, colours: str) -> None:
    axe = (pages.package("axe-core") / "axe.min.js").read_text(encoding="utf-8")
    page = open_page(running.link, color_scheme=colours, reduced_motion="reduce")
    expect(page.get_by_role("heading", level=1)).to_have_text("Studies")
    page.evaluate(axe)
    broken = []
    for place in PLACES:
        go(page, running, place)
        found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        broken += [
            (place, each["id"], each["nodes"][0]["html"], each["nodes"][0]["failureSummary"])
            for each in found["violations"]
        ]
    assert broken == []


def test_the_built_page_is_what_its_sources_make(browser: Browser, tmp_path: Path) -> None:
    made = pages.rebuilt(paths.REPOSITORY, tmp_path / "built")
    wanted = {path.name: path.read_bytes() for path in made.iterdir()}
    there = {path.name: path.read_bytes() for path in (paths.REPOSITORY / pages.STATIC).iterdir()}
    assert sorted(there) == ["app.css", "app.js", "icon.svg", "index.html"]
    assert [name for name in there if there[name] != wanted[name]] == []
    assert sum(map(len, there.values())) < 900_000
