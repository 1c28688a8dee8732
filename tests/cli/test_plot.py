"""`hyperband plot`: of a cluster and of files, into files and the terminal."""

import json
import math
import re
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hyperband.plots.draw import draw
from hyperband.plots.figure import Axis, Figure, Item, Mark, Panel, Series
from hyperband.plots.kinds import DRAWN, Kind
from hyperband.plots.page import page
from hyperband.plots.records import Records, of_objects
from hyperband.plots.terminal import lines
from hyperband.plots.values import best
from tests.cli.fake_server import Server, call, serve, world
from tests.cli.plot_studies import played, records

SVG = "{http://www.w3.org/2000/svg}"
KINDS = list(Kind)


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> Server:
    return serve(monkeypatch, world())


def figure(kind: Kind) -> Figure:
    given = records("digits-abohb")
    return best(given) if kind is Kind.BEST else DRAWN[kind](given)


def small(name: str, **more: object) -> Figure:
    """A point, with that name everywhere."""
    points = Series(name, Mark.POINTS, (Item(name, (1.0,), (2.0,)), Item(name, (3.0,), (4.0,))))
    line = Series("line", Mark.LINES, (Item("line", (1.0, 2.0), (2.0, 4.0)),))
    panel = Panel(Axis(name), Axis(name, ticks=((2.0, name),)), (points, line))
    return Figure(name, (panel,), (name,), (name,), ((name,),))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_in_the_terminal(kind: Kind) -> None:
    drawn = figure(kind)
    for width in (80, 140):
        text = lines(drawn, width)
        assert text[0] == drawn.title
        body = text[1 : len(text) - len(drawn.notes)]
        assert max(map(len, body)) <= width
        assert any(re.search("[\u2801-\u28ff█ox]", line) for line in body)
        for panel in drawn.panels:
            assert any(panel.x.label in line for line in body)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_as_svg(kind: Kind) -> None:
    drawn = figure(kind)
    root = ElementTree.fromstring(draw(drawn, "svg"))
    texts = {each.text for each in root.iter(f"{SVG}text")}
    assert drawn.title in texts
    assert drawn.panels[0].x.label in texts | {""}
    groups = {each.get("id") for each in root.iter(f"{SVG}g")}
    count = sum(bool(each.items) for panel in drawn.panels for each in panel.series)
    assert {f"items-{i}" for i in range(count)} <= groups


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_as_a_page(kind: Kind) -> None:
    drawn = figure(kind)
    text = page(drawn)
    assert not re.search(
        r"(src|href)\s*=\s*[\"'](?!#|data:image)", text.replace("xlink:href", "href")
    )
    assert "prefers-color-scheme: dark" in text
    assert "var(--c0)" in text or drawn.shades
    for column in drawn.columns:
        assert f'<th scope="col">{column}</th>' in text
    items = [item for panel in drawn.panels for each in panel.series for item in each.items]
    assert text.count("<title>") == 1 + len(items)  # a tooltip each


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_a_study_on_a_cluster(kind: Kind, finished: Server, tmp_path: Path) -> None:
    answer = call("plot", "s", kind)
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.startswith("s: ")
    out = tmp_path / "picture.png"
    assert call("plot", "s", kind, "--out", str(out)).exit_code == 0
    assert out.read_bytes().startswith(b"\x89PNG")


def test_objects_in_a_file_are_drawn_without_a_cluster(tmp_path: Path) -> None:
    study, *trials = played("digits")
    other = json.loads(json.dumps(trials[0]))
    other["metadata"]["labels"] = {}
    file = tmp_path / "objects.json"
    file.write_text(json.dumps({"kind": "List", "items": [study, *trials, other]}))
    answer = call("plot", str(file), "rungs")
    assert answer.exit_code == 0, answer.stderr
    assert "epochs 27" in answer.stdout
    assert re.search(r"went on .* completed .* paused", answer.stdout)
    hours = call("plot", str(file), "best", "--over", "gpu-hours").stdout
    assert "x: GPU-hours spent by all trials" in hours


def test_exported_rows_are_drawn_as_far_as_they_go(finished: Server, tmp_path: Path) -> None:
    values, trials = tmp_path / "values.json", tmp_path / "trials.json"
    call("export", "s", "--rows", "values", "-o", "json", "--out", str(values))
    call("export", "s", "-o", "json", "--out", str(trials))
    goal = ("--goal", "Minimize")
    for kind in ("curves", "rungs", "parallel", "slices", "pairs", "importance"):
        assert call("plot", str(values), kind, *goal).exit_code == 0
    assert call("plot", str(trials), "slices", *goal).exit_code == 0
    told = call("plot", str(values), "best", "--over", "values", *goal)
    assert "x: values recorded" in told.stdout
    assert "--rows values" in call("plot", str(trials), "curves", *goal).stderr
    assert "no pods" in call("plot", str(values), "timeline", *goal).stderr
    assert "add --goal Minimize" in call("plot", str(values), "slices").stderr


BAD = [
    (("s", "curves", "--out", "x.pdf"), "--out x.pdf: end it with .png, .svg, .html"),
    (("s", "curves", "--over", "time"), "--over time: only best has it"),
    (("s", "best", "--goal", "Minimize"), "--goal Minimize: the study tells its own goal"),
    (("x.json", "best", "--dir", "y"), "--dir y: x.json is a file already"),
    (("s", "best", "--dir", "no-run"), "no-run"),
    (("no/such.json", "best"), "no/such.json: No such file or directory"),
]


@pytest.mark.parametrize(("words", "said"), BAD)
def test_bad_usage_is_told_before_a_cluster_is_asked(
    words: tuple[str, ...], said: str, finished: Server
) -> None:
    answer = call("plot", *words)
    assert answer.exit_code == 2
    assert said in answer.stderr
    assert finished.asked == []


@pytest.mark.parametrize(
    "text", ["{", "3", "{}", '{"items": 3}', '[{"a": 1}]', '{"items": []}', "[1]"]
)
def test_files_that_hold_something_else(text: str, tmp_path: Path) -> None:
    file = tmp_path / "f.json"
    file.write_text(text)
    answer = call("plot", str(file), "slices", "--goal", "Minimize")
    assert answer.exit_code == 2
    assert str(file) in answer.stderr


def test_a_study_that_is_not_there_and_a_folder_that_is_not(
    finished: Server, tmp_path: Path
) -> None:
    assert call("plot", "nosuch", "best").exit_code == 1
    answer = call("plot", "s", "best", "--out", str(tmp_path / "no" / "x.svg"))
    assert answer.exit_code == 2
    assert "No such file or directory: name a file" in answer.stderr


def test_without_matplotlib_the_extra_is_named(
    finished: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    answer = call("plot", "s", "best", "--out", str(tmp_path / "x.png"))
    assert answer.exit_code == 2
    assert "pip install '.[plots]'" in answer.stderr
    assert call("plot", "s", "best").exit_code == 0


def test_a_study_without_values_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    serve(monkeypatch, world(steps=1))
    assert "nothing to draw yet" in call("plot", "s", "curves").stdout
    out = tmp_path / "x.html"
    assert "nothing to draw yet" in call("plot", "s", "curves", "--out", str(out)).stderr
    assert "nothing to draw yet" in out.read_text()


def test_names_of_others_are_text() -> None:
    name = "$x^2$ <script>"
    drawn = small(name)
    texts = [each.text for each in ElementTree.fromstring(draw(drawn, "svg")).iter(f"{SVG}text")]
    assert texts.count(name) >= 4  # as it is: no formula
    assert "<script>" not in page(drawn)
    assert name in lines(drawn, 80)[0]


BAD_TEXT = "\ud800\x1b[2J\x00\ufffe$a_b$ <b>&\n\t" + "x" * 300
TIME = "2026-01-01T00:00:00Z"


def wild(*numbers: object) -> Records:
    """A study of which every text is bad, and a trial for each number as parameter and value."""
    parameters = [
        {"name": BAD_TEXT, "type": "Float", "scale": "Log", "min": numbers[0]},
        {"name": "c", "type": "Categorical", "values": [BAD_TEXT, True, 1]},
    ]
    spec = {"objective": {"metric": BAD_TEXT}, "resource": {"name": BAD_TEXT}}
    study = {"metadata": {"name": BAD_TEXT}, "spec": spec | {"parameters": parameters}}
    attempt = {"pod": BAD_TEXT, "node": BAD_TEXT, "outcome": BAD_TEXT, "resource": 1}
    trials = [
        {
            "metadata": {"name": BAD_TEXT},
            "spec": {
                "index": i,
                "bracket": 0,
                "parameters": {BAD_TEXT: each, "c": BAD_TEXT},
                "suggestion": {"detail": {"mean": 1e300, "deviation": 1e300, "level": 0}},
            },
            "status": {
                "state": BAD_TEXT,
                "rungs": [{"level": 0, "resource": 1, "value": each, "sequence": i}],
                "attempts": [attempt | {"startTime": TIME, "endTime": TIME}],
            },
        }
        for i, each in enumerate(numbers * 4)
    ]
    return of_objects(study, trials)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "numbers", [(1e308, -1e308, 0.0), (1e-320, 5e-324, 1.0), (math.nan, math.inf, 1.0, -1e99, 1e99)]
)
def test_no_text_and_no_number_breaks_a_picture(kind: Kind, numbers: tuple[float, ...]) -> None:
    given = wild(*numbers)
    drawn = best(given) if kind is Kind.BEST else DRAWN[kind](given)
    ElementTree.fromstring(draw(drawn, "svg"))
    assert "<b>" not in page(drawn)
    text = "\n".join(lines(drawn, 80))
    assert not re.search("[\x00-\x09\x0b-\x1f\ud800]", text)


def test_the_same_figure_is_the_same_file() -> None:
    drawn = small("x")
    assert draw(drawn, "svg") == draw(drawn, "svg")


def test_points_are_at_their_places_in_the_terminal() -> None:
    points = Series("p", Mark.POINTS, (Item("", (0.0,), (0.0,)), Item("", (1.0,), (10.0,))))
    text = lines(Figure("t", (Panel(Axis("x"), Axis("y"), (points,)),)), 40)
    first = next(line for line in text if line.startswith("10 │"))
    last = next(line for line in text if line.startswith(" 0 │"))
    assert first.endswith("o") and len(first) == 40
    assert last == " 0 │o"


def test_kinds_of_lines_are_told_apart_without_colours() -> None:
    first = Series("a", Mark.LINES, (Item("", (0.0, 1.0), (0.0, 0.0)),))
    second = replace(first, name="b", items=(Item("", (0.0, 1.0), (1.0, 1.0)),))
    faint = replace(first, name="c", faint=True)
    text = lines(Figure("t", (Panel(Axis("x"), Axis("y"), (faint, first, second)),)), 40)
    assert "⠂ ⠂ c   ⠒⠒⠒ a   ⠒o⠒ b" in text[-2]
