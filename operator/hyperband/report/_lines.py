"""Follows a file that somebody else writes, line by line, and trusts nothing about it.

The training may cut it, replace it, write half a line or garbage without end, or put something else
in its place: a symlink to what only we may read, a pipe on which a reader would hang.
"""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MAX_LINE: Final = 64 * 1024  # bytes; no report that is longer would fit into the annotation
AT_ONCE: Final = 1024 * 1024  # bytes read before the caller has a turn again
_CHUNK: Final = 64 * 1024
_FINGERPRINT: Final = 64  # bytes before our place that must not change
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Begun:
    """The file is another one from here on, or was written anew: lines may come again."""


class TooLong:
    """A line of more than MAX_LINE bytes, of which nothing is kept."""


Event = bytes | Begun | TooLong


class LineFile:
    """A file of lines that grows.

    Attributes:
        path: where it is.
        problem: why there is nothing to read; None if there may be.
        used: whether anything was ever read from it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem: str | None = None
        self.used = False
        self._file = -1
        self._offset = 0
        self._fingerprint = b""
        self._rest = b""  # of a line that has no end yet
        self._skips = False  # the rest of a line that is too long

    def create(self) -> bool:
        """Makes an empty file that everybody may write; False if there is something already.

        So whoever the training runs as, and whatever its umask, we can read what it appends.
        """
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            made = os.open(self.path, flags)
        except FileExistsError:
            return False
        os.fchmod(made, 0o666)  # not narrowed by an umask
        os.close(made)
        return True

    def close(self) -> None:
        """Nothing more will be read."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def read(self) -> Iterator[Event]:
        """What has come, up to AT_ONCE bytes: lines without their ends; blank ones are left out.

        A last line without an end is given once it is a whole JSON object.
        """
        yield from self._drain()
        if not self.behind and self._is_another():
            yield from self.finish()
            if self._open():
                yield Begun()
                yield from self._drain()

    @property
    def behind(self) -> bool:
        """Whether there is more to be read at once."""
        return self._file >= 0 and os.fstat(self._file).st_size > self._offset

    def finish(self) -> Iterator[Event]:
        """The last line, if it has no end: nothing more is to come."""
        rest, self._rest = self._rest.strip(), b""
        if rest:
            yield rest

    def _drain(self) -> Iterator[Event]:
        if self._file < 0:
            return
        if self._has_changed():
            self._rewind()
            yield Begun()
        left = AT_ONCE
        while left > 0 and (chunk := os.pread(self._file, min(_CHUNK, left), self._offset)):
            self.used = True
            left -= len(chunk)
            self._offset += len(chunk)
            self._fingerprint = (self._fingerprint + chunk)[-_FINGERPRINT:]
            yield from self._split(chunk)
        if _is_object(self._rest):
            yield from self.finish()

    def _split(self, chunk: bytes) -> Iterator[Event]:
        *lines, rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if self._skips:
                self._skips = False
            elif len(line) > MAX_LINE:
                yield TooLong()
            elif stripped := line.strip():
                yield stripped
        self._rest = b"" if self._skips else rest
        if len(self._rest) > MAX_LINE:
            self._rest, self._skips = b"", True
            yield TooLong()

    def _has_changed(self) -> bool:
        """Whether what we have read of the open file is not there any more."""
        length = len(self._fingerprint)
        cut = os.fstat(self._file).st_size < self._offset
        return cut or os.pread(self._file, length, self._offset - length) != self._fingerprint

    def _rewind(self) -> None:
        self._offset, self._fingerprint, self._rest, self._skips = 0, b"", b"", False

    def _is_another(self) -> bool:
        """Whether another file than the open one is there to be read."""
        try:
            found = self.path.lstat()
        except OSError as error:
            self.problem = str(error)
            return False
        if not stat.S_ISREG(found.st_mode):
            self.problem = f"{self.path} is no file: write lines of JSON to a plain one"
            return False
        if self._file < 0:
            return True
        if os.path.samestat(found, os.fstat(self._file)):
            self.problem = None
            return False
        return True

    def _open(self) -> bool:
        try:
            opened = os.open(self.path, _FLAGS)
        except OSError as error:  # gone again, a link by now, or not ours to read
            self.problem = f"{error}: it has to be readable for all"
            return False
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            os.close(opened)
            return False
        if self._file >= 0:
            os.close(self._file)
        self._file, self.problem = opened, None
        self._rewind()
        return True


def _is_object(text: bytes) -> bool:
    """Whether the text is a JSON object, to which nothing can be missing."""
    if not text.rstrip().endswith(b"}"):
        return False
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
