"""Errors that a user can mend: each names the field, the value and the mend."""


class InvalidStudyError(ValueError):
    """A study that cannot be run as written.

    Attributes:
        field: the path of the field in the spec, e.g. ``spec.parameters[2].min``.
        problem: what is wrong with which value, and what would be right.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem
