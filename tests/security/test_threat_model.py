"""The threat model names tests that exist, and knows all that are here."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference/threat-model.md"
NAMED = set(re.findall(r"`(test_\w+)`", PAGE.read_text("utf-8")))
DEFINED = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)


def defined(folder: Path) -> set[str]:
    files = folder.rglob("test_*.py")
    return {name for path in files for name in DEFINED.findall(path.read_text("utf-8"))}


def test_every_test_that_it_names_is_there() -> None:
    assert NAMED - defined(ROOT / "tests") == set()


def test_every_attack_is_written_down() -> None:
    """But for those that only back up another one."""
    backing = {
        "test_control_characters_are_shown_and_not_obeyed",
        "test_a_metric_s_name_moves_no_terminal_in_simulations",
        "test_every_test_that_it_names_is_there",
        "test_every_attack_is_written_down",
    }
    assert defined(Path(__file__).parent) - NAMED == backing
