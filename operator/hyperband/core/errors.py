"""Errors that a user can mend: each names the field, the value and the mend."""

from typing import Final

MAX_FIELD: Final = 500  # characters
MAX_PROBLEM: Final = 1000


class InvalidStudyError(ValueError):
    """A study that cannot be run as written.

    The error goes into conditions, events and terminals: whatever it quotes, it is short, and free
    of the lone surrogates that UTF-8 cannot hold.

    Attributes:
        field: the path of the field in the spec, e.g. ``spec.parameters[2].min``.
        problem: what is wrong with which value, and what would be right.
    """

    def __init__(self, field: str, problem: str) -> None:
        self.field = encodable(field, MAX_FIELD)
        self.problem = encodable(problem, MAX_PROBLEM)
        super().__init__(f"{self.field}: {self.problem}")


def encodable(text: str, most: int) -> str:
    """The text without lone surrogates, which JSON and YAML can bring, cut to `most` characters."""
    held = text.encode("utf-8", "backslashreplace").decode()
    return held if len(held) <= most else f"{held[: most - 3]}..."
