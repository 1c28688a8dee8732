"""The metrics annotation: whatever is in it, something sensible comes out."""

import json
import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperband.api.metrics import Reports, parse_metrics, thin
from hyperband.core.records import Report


def parse(document: Any) -> Reports:
    text = document if isinstance(document, str) else json.dumps(document)
    return parse_metrics(text, "val_loss", "epochs")


def test_one_report() -> None:
    assert parse('{"epochs": 3, "val_loss": 0.21}') == Reports((Report(3.0, 0.21),), None)


def test_a_list_with_other_metrics() -> None:
    found = parse([{"epochs": 1, "val_loss": 2, "accuracy": 0.5, "note": "x", "ok": True}])
    assert found == Reports((Report(1.0, 2.0, {"accuracy": 0.5}),), None)


def test_no_reports_yet() -> None:
    assert parse([]) == Reports((), None)


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("Infinity", math.inf),
        ("-Infinity", -math.inf),
        ('"inf"', math.inf),
        ('"-Infinity"', -math.inf),
        ("1e999", math.inf),
        ("1" + "0" * 400, math.inf),
        ("-1" + "0" * 400, -math.inf),
    ],
)
def test_infinities_are_values(literal: str, value: float) -> None:
    assert parse(f'{{"epochs": 1, "val_loss": {literal}}}') == Reports((Report(1.0, value),), None)


@pytest.mark.parametrize("literal", ["NaN", '"NaN"', '"nan"'])
def test_nan_is_a_value(literal: str) -> None:
    found = parse(f'{{"epochs": 1, "val_loss": {literal}}}')
    assert found.error is None
    assert math.isnan(found.reports[0].value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("val_loss=0.3", "is not JSON"),
        ("null", "is null: write one JSON object or a list"),
        ("3", "is 3: write"),
        ('"x"', 'is "x"'),
        ("9" * 5000, "is not JSON"),
        ("[" * 30000, "nested too deeply"),
        ("[" * 30000 + "]" * 30000, "nested too deeply"),
        (" " * 70000, "70000 bytes, more than 65536"),
        ('{"epochs": 1}', 'has no "val_loss", only epochs'),
        ('{"val_loss": 1}', 'has no "epochs", only val_loss'),
        ("{}", "only nothing"),
        ("[7]", 'is 7: write an object such as {"epochs": 1, "val_loss": 0.5}'),
        ('{"epochs": true, "val_loss": 1}', 'has true as "epochs"'),
        ('{"epochs": 1, "val_loss": "0.5"}', 'has "0.5" as "val_loss": report a number'),
        ('{"epochs": 1, "val_loss": null}', 'has null as "val_loss"'),
        ('{"epochs": 1, "val_loss": [1]}', 'has [1] as "val_loss"'),
        ('{"epochs": NaN, "val_loss": 1}', 'has nan as "epochs"'),
        ('{"epochs": -1, "val_loss": 1}', 'has -1 as "epochs": report a number from 0 up'),
        ('{"epochs": 1e999, "val_loss": 1}', 'has inf as "epochs"'),
    ],
)
def test_what_cannot_be_read_is_said(text: str, says: str) -> None:
    found = parse(text)
    assert found.reports == ()
    assert found.error is not None
    assert says in found.error
    assert len(found.error) <= 1100


def test_good_reports_are_kept_beside_bad_ones() -> None:
    found = parse(
        [
            {"epochs": 1, "val_loss": 0.5},
            {"epochs": 2, "loss": 0.4},
            "x",
            {"epochs": 3, "val_loss": 0.3},
        ]
    )
    assert found.reports == (Report(1.0, 0.5), Report(3.0, 0.3))
    assert found.error is not None
    assert found.error.startswith('report 2 has no "val_loss", only epochs, loss')
    assert found.error.endswith("more reports are wrong")


def test_minus_zero_is_zero() -> None:
    """A server may give either back for the other, and tables show them differently."""
    (report,) = parse('{"epochs": -0.0, "val_loss": -0.0, "accuracy": -0}').reports
    numbers = (report.resource, report.value, report.metrics["accuracy"])
    assert repr(numbers) == "(0.0, 0.0, 0.0)"


@pytest.mark.parametrize("entry", ['{"\\ud800": 1}', '"\\ud800"', '"' + "\\ud800" * 5000 + '"'])
def test_what_is_quoted_stays_short_and_readable(entry: str) -> None:
    for text in (entry, f"[{entry}]", f"[{entry}, 1]"):
        error = parse(text).error
        assert error is not None and len(error) <= 1000
        error.encode()


def test_reports_that_go_back_are_left_out() -> None:
    found = parse([{"epochs": e, "val_loss": 0.1 * e} for e in (1, 3, 2, 3, 4)])
    assert [report.resource for report in found.reports] == [1, 3, 3, 4]
    assert found.error is not None
    assert "goes back from epochs 3 to 2" in found.error


def test_the_size_counts_bytes() -> None:
    assert "bytes" in (parse(json.dumps("ä" * 40000, ensure_ascii=False)).error or "")


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["epochs", "val_loss", "NaN"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["epochs", "val_loss", "acc"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.text() | anything.map(json.dumps) | st.text(alphabet='[]{}":,0123456789eENaIfinty-'))
def test_it_never_raises(text: str) -> None:
    found = parse_metrics(text, "val_loss", "epochs")
    resources = [report.resource for report in found.reports]
    assert resources == sorted(resources)
    assert all(math.isfinite(resource) for resource in resources)


@given(st.lists(st.floats(0, 100), max_size=30), st.integers(2, 10))
def test_a_thinned_curve_keeps_its_ends(resources: list[float], limit: int) -> None:
    curve = [Report(r, float(i)) for i, r in enumerate(sorted(resources))]
    kept = thin(curve, limit)
    assert len(kept) == min(limit, len(curve))
    assert [r for r in curve if r in kept] == list(kept)
    if curve:
        assert (kept[0], kept[-1]) == (curve[0], curve[-1])


def test_a_long_curve_stays_evenly_covered() -> None:
    kept: tuple[Report, ...] = ()
    for step in range(3000):
        kept = thin([*kept, Report(step, 0.0)], 50)
    gaps = [b.resource - a.resource for a, b in pairwise(kept)]
    assert max(gaps) <= 4 * 3000 / 50
