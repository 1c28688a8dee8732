"""A file that somebody else writes, read line by line whatever he does to it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hyperband.report._lines import AT_ONCE, MAX_LINE, Begun, Event, LineFile, TooLong


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def lines(events: list[Event]) -> list[bytes]:
    return [each for each in events if isinstance(each, bytes)]


def read(file: LineFile) -> list[Event]:
    return list(file.read())


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_lines_come_once_each(path: Path) -> None:
    file = LineFile(path)
    append(path, b'{"a": 1}\n\n  \r\n{"a": 2}\r\n')
    first = read(file)
    assert isinstance(first[0], Begun) and lines(first) == [b'{"a": 1}', b'{"a": 2}']
    assert read(file) == []
    append(path, b'{"a": 3}\n')
    assert read(file) == [b'{"a": 3}']


def test_half_a_line_waits_for_its_end(path: Path) -> None:
    file = LineFile(path)
    for part in (b'{"a"', b": {", b"}, "):
        append(path, part)
        assert lines(read(file)) == []
    append(path, b'"b": 1}')
    assert read(file) == [b'{"a": {}, "b": 1}']  # whole without its end
    append(path, b"\n")
    assert read(file) == []


def test_what_has_no_end_when_all_is_over_is_a_line(path: Path) -> None:
    file = LineFile(path)
    append(path, b"half")
    assert lines(read(file)) == []
    assert list(file.finish()) == [b"half"]
    assert list(file.finish()) == []


def test_a_file_is_made_that_everybody_may_append_to(path: Path) -> None:
    before = os.umask(0o077)
    try:
        assert LineFile(path).create()
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o666
    append(path, b"1\n")
    assert not LineFile(path).create()
    assert path.read_bytes() == b"1\n"


def cut(path: Path) -> None:
    path.write_bytes(b"new\n")


def rewrite_longer(path: Path) -> None:
    path.write_bytes(b"new\n" + b"x" * 100 + b"\n")


def rename(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"new\n")
    other.rename(path)


def move_away(path: Path) -> None:
    path.rename(path.with_name("metrics.1"))
    path.write_bytes(b"new\n")


@pytest.mark.parametrize("change", [cut, rewrite_longer, rename, move_away])
def test_a_file_that_begins_anew_is_read_anew(path: Path, change: Callable[[Path], None]) -> None:
    file = LineFile(path)
    append(path, b"old one\nold two\n")
    assert lines(read(file)) == [b"old one", b"old two"]
    change(path)
    begun, first, *_ = read(file)
    assert isinstance(begun, Begun) and first == b"new"


def test_the_end_of_a_file_that_was_moved_away_is_not_lost(path: Path) -> None:
    file = LineFile(path)
    append(path, b"one\n")
    read(file)
    append(path, b"two\nhalf")
    move_away(path)
    assert lines(read(file)) == [b"two", b"half", b"new"]


def test_a_file_that_grows_while_it_is_rewritten_as_it_was_goes_on(path: Path) -> None:
    file = LineFile(path)
    path.write_bytes(b"one\n")
    read(file)
    path.write_bytes(b"one\ntwo\n")  # as a script does that writes all of it each time
    assert read(file) == [b"two"]


def test_lines_that_are_too_long_are_dropped_up_to_their_end(path: Path) -> None:
    file = LineFile(path)
    long = b"x" * (10 * 1024 * 1024)
    append(path, b"one\n" + long + b"\ntwo\n")
    events: list[Event] = []
    rounds = 0
    while not events or file.behind:
        events += read(file)
        rounds += 1
    assert lines(events) == [b"one", b"two"]
    assert sum(isinstance(each, TooLong) for each in events) == 1
    assert rounds >= len(long) // AT_ONCE, "others have a turn in between"


@pytest.mark.parametrize("length", [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1])
def test_the_limit_of_a_line(path: Path, length: int) -> None:
    file = LineFile(path)
    append(path, b"x" * length + b"\n")
    (_, event) = read(file)
    assert (event == b"x" * length) is (length <= MAX_LINE)


def test_a_hole_without_end_is_no_line_and_takes_no_memory(path: Path) -> None:
    file = LineFile(path)
    path.touch()
    os.truncate(path, 2**40)
    (_, event) = read(file)
    assert isinstance(event, TooLong)
    assert file.behind and read(file) == []


def test_a_symlink_is_not_followed(path: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    path.symlink_to(token)
    file = LineFile(path)
    assert not file.create()
    assert read(file) == []
    assert file.problem is not None and "is no file" in file.problem


def test_a_file_that_becomes_a_symlink_is_read_no_further(path: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    file = LineFile(path)
    append(path, b"one\n")
    assert lines(read(file)) == [b"one"]
    path.unlink()
    path.symlink_to(token)
    assert read(file) == [] and file.problem
    path.unlink()
    append(path, b"two\n")
    assert lines(read(file)) == [b"two"] and file.problem is None


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", [make_pipe, Path.mkdir])
def test_what_is_no_file_neither_hangs_nor_ends_the_reader(
    path: Path, make: Callable[[Path], None]
) -> None:
    make(path)
    file = LineFile(path)
    assert not file.create()
    assert read(file) == [] and not file.behind
    assert file.problem is not None and "is no file" in file.problem


def test_no_file_yet(path: Path) -> None:
    file = LineFile(path)
    assert read(file) == [] and not file.behind
    append(path, b"one\n")
    assert lines(read(file)) == [b"one"]
