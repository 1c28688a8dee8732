"""How a study goes, told while a person waits."""

import sys
import warnings
from collections.abc import Mapping
from typing import Any

from hyperband.api.words import condition
from hyperband.core.errors import printable


def standing(body: Mapping[str, Any]) -> str:
    """How a study stands, in a line."""
    said = condition(body, "Progressing").get("message") or "nothing has started yet"
    best = (body.get("status") or {}).get("best")
    line = f"{body['metadata']['name']}: {said}"
    if best:
        line += f"; best {body['spec']['objective']['metric']} {best['text']} by {best['trial']}"
    return printable(line).replace("\n", " ")


class Progress:
    """One line that changes, in a terminal and in a notebook; elsewhere a line at each change."""

    def __init__(self, wanted: bool) -> None:
        self._wanted, self._line = wanted, ""
        self._one = sys.stdout.isatty() or "ipykernel" in sys.modules

    def show(self, body: Mapping[str, Any]) -> None:
        """Tells how the study stands, if that has changed."""
        line = standing(body)
        if not self._wanted or line == self._line:
            return
        if self._one:
            print(f"\r{line:<{len(self._line)}}", end="", flush=True)
        else:
            print(line, flush=True)
        self._line = line

    def tell(self, note: str) -> None:
        """Warns of something that the person should know."""
        warnings.warn(printable(note), stacklevel=2)

    def close(self) -> None:
        """Ends the line."""
        if self._one and self._line:
            print(flush=True)
