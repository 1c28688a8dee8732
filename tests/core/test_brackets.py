"""Hyperband's brackets: golden tables, and the draw of a trial's bracket."""

from collections import Counter

import pytest

from hyperband.core.brackets import Instances, draw_bracket, in_use, rung_sizes, start_size
from hyperband.core.records import Resource, Sizes
from hyperband.core.rungs import Ladder
from tests.core.engines import study

# (configurations, resource) by bracket s, for r_max = 81 and eta = 3.
GOLDEN_81 = {
    4: [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
    3: [(27, 3), (9, 9), (3, 27), (1, 81)],
    2: [(9, 9), (3, 27), (1, 81)],
    1: [(6, 27), (2, 81)],
    0: [(5, 81)],
}
# r_max = 27, eta = 4: four levels, the last step is shorter than the others.
GOLDEN_27_BY_4 = {
    3: [(64, 1), (16, 4), (4, 16), (1, 27)],
    2: [(16, 4), (4, 16), (1, 27)],
    1: [(8, 16), (2, 27)],
    0: [(4, 27)],
}
# r_max = 20, eta = 2.5: each count is rounded down, 39 = floor(2.5^4).
GOLDEN_20_BY_2_5 = {
    4: [(39, 1), (15, 2), (6, 6), (2, 16), (1, 20)],
    3: [(15, 2), (6, 6), (2, 16), (1, 20)],
    2: [(6, 6), (2, 16), (1, 20)],
    1: [(5, 16), (2, 20)],
    0: [(5, 20)],
}
# The paper's sizes for r_max = 81 and eta = 3.
GOLDEN_PAPER = {
    4: [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
    3: [(34, 3), (11, 9), (3, 27), (1, 81)],
    2: [(15, 9), (5, 27), (1, 81)],
    1: [(8, 27), (2, 81)],
    0: [(5, 81)],
}
# 0.1 .. 1 by 3: floats, K = 4.
GOLDEN_FLOAT = {
    3: [(27, 0.1), (9, 0.3), (3, 0.9), (1, 1.0)],
    2: [(9, 0.3), (3, 0.9), (1, 1.0)],
    1: [(6, 0.9), (2, 1.0)],
    0: [(4, 1.0)],
}


def ladder_of(r_min: float, r_max: float, eta: float, integer: bool = True) -> Ladder:
    return Ladder(Resource("epochs", r_min, r_max, integer), eta)


def table(
    ladder: Ladder, eta: float, sizes: Sizes = Sizes.FLOOR
) -> dict[int, list[tuple[int, float]]]:
    """(configurations, resource) at each rung of each bracket of synchronous Hyperband."""
    rows = {}
    for s in reversed(range(len(ladder))):
        counts = rung_sizes(start_size(len(ladder), s, eta, sizes), s + 1, eta)
        rows[s] = list(zip(counts, ladder.levels[ladder.first(s) :], strict=True))
    return rows


def test_golden_table_of_81() -> None:
    assert table(ladder_of(1, 81, 3), 3) == GOLDEN_81


def test_golden_table_of_the_papers_sizes() -> None:
    assert table(ladder_of(1, 81, 3), 3, Sizes.PAPER) == GOLDEN_PAPER


def test_golden_table_where_r_max_is_no_power() -> None:
    assert table(ladder_of(1, 27, 4), 4) == GOLDEN_27_BY_4


def test_golden_table_of_floats() -> None:
    assert table(ladder_of(0.1, 1.0, 3, integer=False), 3) == GOLDEN_FLOAT


def test_golden_table_of_a_fractional_eta() -> None:
    assert table(ladder_of(1, 20, 2.5), 2.5) == GOLDEN_20_BY_2_5


def test_exact_powers() -> None:
    """243 = 3^5: six levels; a logarithm in floating point would see five."""
    assert [start_size(6, s, 3) for s in range(6)] == [6, 9, 18, 27, 81, 243]
    assert table(ladder_of(1, 1000, 10), 10)[3] == [(1000, 1), (100, 10), (10, 100), (1, 1000)]


def test_brackets_in_use_are_those_that_start_lowest() -> None:
    assert list(in_use(5, 1)) == [4]
    assert list(in_use(5, 3)) == [4, 3, 2]
    assert list(in_use(5, 5)) == [4, 3, 2, 1, 0]


@pytest.mark.parametrize("brackets", [1, 2, 3, 5])
def test_draws_follow_the_start_sizes(brackets: int) -> None:
    sizes = {4: 81, 3: 27, 2: 9, 1: 6, 0: 5}
    used = {s: sizes[s] for s in list(sizes)[:brackets]}
    draws, drawn = 6000, study(brackets=brackets, seed=11)
    seen = Counter(draw_bracket(drawn, 5, index) for index in range(draws))
    assert set(seen) == set(used)
    for bracket, size in used.items():
        p = size / sum(used.values())
        deviation = (draws * p * (1 - p)) ** 0.5
        assert abs(seen[bracket] - draws * p) <= 4 * deviation, bracket


def test_draws_depend_on_seed_and_index_alone() -> None:
    def draws(seed: int) -> list[int]:
        return [draw_bracket(study(brackets=5, seed=seed), 5, index) for index in range(200)]

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)
    assert draws(1)[:12] == [4, 4, 4, 3, 1, 4, 4, 4, 4, 4, 1, 4]  # golden: upgrades agree


def test_draws_follow_the_papers_sizes_when_told_to() -> None:
    paper = study(brackets=5, seed=11, sizes=Sizes.PAPER)
    seen = Counter(draw_bracket(paper, 5, index) for index in range(6000))
    share = 34 / (81 + 34 + 15 + 8 + 5)
    assert abs(seen[3] / 6000 - share) < 4 * (share * (1 - share) / 6000) ** 0.5


def test_instances_follow_each_other_round_and_round() -> None:
    instances = Instances(study(brackets=3), 5)  # 81, 27 and 9 trials
    assert [instances.bracket(number) for number in range(7)] == [4, 3, 2, 4, 3, 2, 4]
    assert [instances.trials(number) for number in range(4)] == [
        range(81), range(81, 108), range(108, 117), range(117, 198),
    ]  # fmt: skip
    found = [instances.number(index) for index in range(117 + 81 + 1)]
    assert found == [0] * 81 + [1] * 27 + [2] * 9 + [3] * 81 + [4]
    assert all(index in instances.trials(number) for index, number in enumerate(found))


def test_instances_of_one_bracket() -> None:
    instances = Instances(study(brackets=1), 3)
    assert [instances.number(index) for index in (0, 8, 9, 17, 18)] == [0, 0, 1, 1, 2]
    assert {instances.bracket(number) for number in range(3)} == {2}
