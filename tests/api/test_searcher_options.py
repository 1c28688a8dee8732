"""The options of spec.searcher and the records of suggestions: what else must agree with them."""

import re
from dataclasses import fields

import pytest

from hack.generate import REPOSITORY
from hyperband.api.schema.searcher import OPTIONS, SEARCHER
from hyperband.api.schema.trial import TRIAL_SPEC
from hyperband.api.study import parse_study
from hyperband.core.engine import Engine
from hyperband.core.records import Report, SearcherOptions
from hyperband.core.searchers import SEARCHERS
from tests.studies import changed, good_study

PAGE = REPOSITORY / "docs/concepts/searchers.md"


def documented() -> dict[str, str | None]:
    """The options in the page's tables: the searcher in whose section each is."""
    found: dict[str, str | None] = {}
    section: str | None = None
    inside = False
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:] if line[3:] in SEARCHERS else None
        inside = line.startswith("|") and (inside or line.startswith("| option |"))
        name = re.match(r"\| `(\w+)` \|", line)
        if inside and name:
            found[name[1]] = section
    return found


def test_the_documentation_has_all_options_and_no_others() -> None:
    known = {name: option.searcher for name, option in OPTIONS.items()}
    assert documented() == {"seed": None, **known}
    assert SEARCHER["properties"].keys() == {"type", *documented()}


def test_every_option_sets_an_attribute_of_its_own() -> None:
    assert sorted(o.attribute for o in OPTIONS.values()) == sorted(
        field.name for field in fields(SearcherOptions)
    )
    assert {o.searcher for o in OPTIONS.values()} - {None} <= SEARCHERS.keys()


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_what_a_searcher_notes_is_explained(searcher: str) -> None:
    """With each suggestion, by name: in the description of the field and in the documentation."""
    changes = {"spec.searcher.type": searcher, "spec.hyperband": {"mode": "None"}}
    engine = Engine(parse_study(changed(good_study(), changes)).study)
    noted: set[str] = set()
    for index in range(25):
        trial = engine.new_trial(index, 0, engine.searcher.suggest(index))
        engine.put(trial)
        decision = engine.observe(index, [Report(27.0, (index * 7) % 10)])
        assert decision is not None
        engine.put(decision.trial)
        noted |= trial.suggestion.detail.keys()
    assert bool(noted) is (searcher != "Random")
    schema = TRIAL_SPEC["properties"]["suggestion"]["properties"]["detail"]["description"]
    documentation = PAGE.read_text(encoding="utf-8")
    about = re.search(rf"{searcher}: ([^.]*)\.", schema)
    if noted:
        assert about is not None
        assert noted <= set(re.findall(r"\w+", about[1]))
        assert noted <= set(re.findall(r"`(\w+)`", documentation))
