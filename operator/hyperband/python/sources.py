"""Where a study's run is kept: what reads its study and its trials."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hyperband.backends.kubernetes.archives import as_object
from hyperband.backends.kubernetes.objects import CustomObject
from hyperband.python import laptop

Body = dict[str, Any]


class Source(Protocol):
    """What a run is read from."""

    def study(self) -> Body:
        """The study's object now."""

    def read(self) -> tuple[Body, list[Body]]:
        """The study's object and those of its trials, by index."""

    def items(self) -> list[CustomObject]:
        """The trials by index."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A run on this machine."""

    folder: Path

    def __str__(self) -> str:
        return f"run in {self.folder}"

    def study(self) -> Body:
        return laptop.read_body(self.folder)

    def read(self) -> tuple[Body, list[Body]]:
        return laptop.read(self.folder)

    def items(self) -> list[CustomObject]:
        return [as_object(each) for each in self.read()[1]]
