"""What a study's methods raise; each message has the mend."""

from collections.abc import Sequence

from hyperband.core.errors import InvalidStudyError


class StudyProblemsError(InvalidStudyError):
    """All that is wrong with a study, as `hyperband validate` tells it.

    Attributes:
        problems: each with `field` and `problem`; the exception's own are those of the first.
    """

    def __init__(self, problems: Sequence[InvalidStudyError]) -> None:
        super().__init__(problems[0].field, problems[0].problem)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class StudyError(RuntimeError):
    """What cannot be done, and what to do instead."""


class MissingPackageError(ImportError):
    """A package is not installed; the message says how to get it."""
