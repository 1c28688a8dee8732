"""How the cost of decisions grows: what is measured, and the power that is told of it."""

from pathlib import Path

import pytest

from benchmarks.growth import decisions, plots, surrogate
from benchmarks.growth.figures import Line, Point, point


def test_the_exponent_is_that_of_a_power() -> None:
    sizes = (10, 100, 1_000)
    line = Line("root", [Point(n, 3e-6 * n**0.5, 1e-3, 5) for n in sizes])
    assert line.exponent == pytest.approx(0.5)


def test_a_point_is_of_its_samples() -> None:
    assert point(7, [3.0, 1.0, 2.0]) == Point(7, 2.0, pytest.approx(2.98), 3)


@pytest.mark.parametrize(("mode", "kinds"), [("Stopping", 2), ("Promotion", 3)])
def test_each_kind_of_decision_is_timed_at_each_size(mode: str, kinds: int) -> None:
    lines = decisions.lines(mode, (500, 2_000))
    assert len(lines) == kinds
    assert all([p.size for p in line.points] == [500, 2_000] for line in lines)
    assert all(p.samples > 50 and p.median > 0 for line in lines for p in line.points)


def test_observations_suggestions_and_their_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    lines = [surrogate.appended((10, 20)), *surrogate.suggested((50,))]
    assert [len(line.points) for line in lines] == [2, 1, 1]
    own, whole = (line.points[0].median for line in lines[1:])
    assert 0 < own < whole
    path = plots.draw({"part": lines}, tmp_path / "growth.svg")
    assert "one observation appended" in path.read_text()
