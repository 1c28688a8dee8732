"""What `from hyperband import …` gives: a study as an object, built, run and read from Python."""

from hyperband.core.errors import InvalidStudyError
from hyperband.python.parameters import Categorical, Constant, Float, Integer, Ordinal
from hyperband.python.problems import MissingPackageError, StudyError, StudyProblemsError
from hyperband.python.study import Best, Study

__all__ = [
    "Best",
    "Categorical",
    "Constant",
    "Float",
    "Integer",
    "InvalidStudyError",
    "MissingPackageError",
    "Ordinal",
    "Study",
    "StudyError",
    "StudyProblemsError",
]
