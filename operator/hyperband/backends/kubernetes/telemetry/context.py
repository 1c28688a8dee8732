"""What a line of the log is about: set once by whoever works on it, for all logged meanwhile.

A task keeps what was set where it was created.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class About:
    """A study and perhaps one of its trials."""

    namespace: str
    study: str
    trial: str = ""


_about: ContextVar[About | None] = ContextVar("about", default=None)


def current() -> About | None:
    """What the work of this task is about, if it is about one study."""
    return _about.get()


@contextmanager
def about(namespace: str, study: str, trial: str = "") -> Iterator[None]:
    """Meanwhile all is about this."""
    token = _about.set(About(namespace, study, trial))
    try:
        yield
    finally:
        _about.reset(token)
