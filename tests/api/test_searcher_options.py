"""The options of spec.searcher: one table of them, and what else must agree with it."""

import re
from dataclasses import fields

from hack.generate import REPOSITORY
from hyperband.api.schema.searcher import OPTIONS, SEARCHER
from hyperband.core.records import SearcherOptions
from hyperband.core.searchers import SEARCHERS


def documented() -> dict[str, str | None]:
    """The options in the tables of docs/searchers.md, by name: each one's section, if any."""
    found: dict[str, str | None] = {}
    section: str | None = None
    inside = False
    for line in (REPOSITORY / "docs/searchers.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:]
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
