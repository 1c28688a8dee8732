"""Files of all kinds: what kubectl would read is read, and everything else is refused."""

import re
from pathlib import Path
from typing import Any

import pytest

from hyperband.api.files import MAX_BYTES, load_manifest, parse_manifest, read_documents
from hyperband.core.errors import MAX_PROBLEM, InvalidStudyError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("+.5", 0.5),
        ("-1_000", -1000),
        ("0x1f", 31),
        ("010", 8),
        ("0b11", 3),
        ("-.inf", -float("inf")),
        ("yes", True),
        ("y", True),
        ("N", False),
        ("nn", "nn"),
        ("~", None),
        # What only begins like a number, or what PyYAML alone takes for one.
        ("1.2.3e5", "1.2.3e5"),
        (".e5", ".e5"),
        ("0x_", "0x_"),
        ("0b_", "0b_"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("2026-13-45", "2026-13-45"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ],
)
def test_scalars_are_those_of_kubectl(text: str, value: Any) -> None:
    read = parse_manifest(f"a: {text}".encode(), "study.yaml")["a"]
    assert (read, type(read)) == (value, type(value))


def test_keys_may_be_merged() -> None:
    content = b"a: &a {x: 1}\nb: {<<: *a, z: 2}"
    assert parse_manifest(content, "study.yaml")["b"] == {"x": 1, "z": 2}


def _nested_aliases(shape: str) -> bytes:
    """Each line repeats the one before it ten times."""
    lines = ["a0: &a0 {x: 1}"]
    for i in range(1, 12):
        repeated = ", ".join([f"*a{i - 1}"] * 10)
        lines.append(f"a{i}: &a{i} " + shape % repeated)
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    "content",
    [
        _nested_aliases("[%s]"),
        _nested_aliases("{<<: [%s]}"),
        b"&a [*a]",
        b"a: &a {b: *a}",
        b"a: &a {<<: *a}",
        b"[" * 100_000,
        b"{a: " * 100_000,
        b"a: " + b"9" * 10_000,
        b"a: !!int x",
        b"a: !!bool x",
        b"a: !!float x",
        b"a: !!timestamp x",
        b"a: !!binary \xc3\xa9",
        b"a: !!python/object:os.system {}",
        b"a: \0",
        b"\xff\xfe\xff",
        b"{[a]: b}: c: d",
        b" " * (MAX_BYTES + 1),
        b"",
        b"- a",
        b"{}\n---\n{}",
    ],
    ids=lambda content: repr(content[:24]),
)
def test_what_cannot_be_read_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_bytes(content)
    with pytest.raises(InvalidStudyError) as caught:
        load_manifest(tmp_path / "study.yaml")
    assert re.search(r"study\.yaml(:[0-9]+)?$", caught.value.field)
    assert 0 < len(caught.value.problem) <= MAX_PROBLEM


def test_an_alias_may_be_used_often() -> None:
    content = "a: &a {x: 1}\nb: [" + ", ".join(["*a"] * 1000) + "]"
    assert len(parse_manifest(content.encode(), "study.yaml")["b"]) == 1000


FIELDS = b"""# a comment
a: {b: [1,
  {c: 2}]}
---
"d.e/f":
  x.y: 1
x: &x {y: 1}
z:
  <<: *x
"""


@pytest.mark.parametrize(
    ("document", "field", "line"),
    [
        (0, "", 2),
        (0, "a", 2),
        (0, "a.b[0]", 2),
        (0, "a.b[1]", 3),
        (0, "a.b[1].c", 3),
        (0, "a.b[1].missing", 3),
        (0, "a.b[7]", 2),
        (1, "d.e/f.x.y", 6),
        (1, "d.e/f.z", 5),
        (1, "z.y", 7),
    ],
)
def test_each_field_has_its_line(document: int, field: str, line: int) -> None:
    assert read_documents(FIELDS, "study.yaml")[document].line(field) == line


def test_repeated_keys_are_told_of_and_merged_ones_are_none() -> None:
    content = b"a: 1\nb: &b {c: 1}\nd: [{<<: *b, c: 2}, {e: 1,\n  e: 2}]\na: 3"
    (document,) = read_documents(content, "study.yaml")
    assert document.twice == (("e", 4), ("a", 5))
