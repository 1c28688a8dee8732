"""Hyperparameter tuning on Kubernetes: asynchronous Hyperband as an operator.

`from hyperband import Study` is a study in Python. It is loaded when it is asked for: a training's
image may hold `hyperband.report` alone.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hyperband.python import (
        Best,
        Categorical,
        Constant,
        Float,
        Integer,
        InvalidStudyError,
        MissingPackageError,
        Ordinal,
        Study,
        StudyError,
        StudyProblemsError,
    )

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


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("hyperband.python"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
