"""Counting executions, and keeping one input of each kind of finding."""

import hashlib
import json
import traceback
from pathlib import Path
from typing import Final

from tests.fuzz.targets import one_input

EVERY: Final = 1000  # executions between two notes of the count


class Campaign:
    """Runs inputs, and writes down what they come to.

    Args:
        folder: of the campaign; its count goes on from what is there.
    """

    def __init__(self, target: str, folder: Path, runs: int, done: int) -> None:
        self._target, self._folder = target, folder
        self._runs, self.done = runs, done

    @property
    def left(self) -> int:
        """How many of the executions that were asked for are still to come."""
        return self._runs - self.done

    def run(self, data: bytes) -> None:
        """One execution. A finding is kept, and the campaign goes on."""
        try:
            one_input(self._target, data)
        except Exception as error:
            self._keep(data, error)
        self.done += 1
        if self.done % EVERY == 0 or self.left <= 0:
            (self._folder / "count.json").write_text(json.dumps(self.done))

    def _keep(self, data: bytes, error: Exception) -> None:
        """The shortest input for each exception and place."""
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "/hyperband/" in frame.filename] or frames
        places = [ours[-1], *(frame for frame in frames if "/tests/fuzz/" in frame.filename)]
        key = [
            type(error).__name__,
            *(f"{Path(each.filename).name}:{each.line}" for each in places),
        ]
        name = f"finding-{hashlib.sha256(' '.join(key).encode()).hexdigest()[:12]}"
        path = self._folder / f"{name}.bin"
        if path.exists() and len(path.read_bytes()) <= len(data):
            return
        path.write_bytes(data)
        text = "".join(traceback.format_exception(error))
        path.with_suffix(".txt").write_bytes(text.encode("utf-8", "backslashreplace"))
