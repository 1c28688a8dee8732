"""`--benchmark package.module:factory`: finds it, and says what is wrong with it."""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

from hyperband.backends.simulator.curves import Benchmark, BenchmarkError, Curve
from hyperband.core.parameters import show
from hyperband.core.space import Value


def load_benchmark(reference: str) -> Benchmark:
    """What the factory returns, called without arguments.

    The module is looked up on the import path and in the current folder.

    Raises:
        BenchmarkError: there is no such module or factory, or it makes no benchmark.
    """
    name, colon, attribute = reference.partition(":")
    if not (name and colon and attribute):
        raise _refuse(reference, "is not of the form package.module:factory")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            where = f"on the import path or in {folder}"
            raise _refuse(reference, f"there is no module {error.name} {where}") from error
        raise _refuse(reference, f"importing {name} failed: {error}") from error
    except Exception as error:
        raise _refuse(reference, f"importing {name} failed: {_told(error)}") from error
    factory = getattr(module, attribute, None)
    if factory is None:
        raise _refuse(reference, f"module {name} has no {attribute}: name its factory")
    if not callable(factory):
        raise _refuse(reference, f"{attribute} is {type(factory).__name__}, not a function")
    try:
        made = factory()
    except Exception as error:
        raise _refuse(reference, f"{attribute}() failed: {_told(error)}") from error
    if not callable(getattr(made, "curve", None)):
        missing = "which has no method curve(parameters, seed): return one that has"
        raise _refuse(reference, f"{attribute}() returned {type(made).__name__}, {missing}")
    return _Checked(made, reference)


class _Checked:
    """A benchmark whose failures say for which parameters it failed."""

    def __init__(self, inner: Benchmark, reference: str) -> None:
        self._inner, self._reference = inner, reference

    def curve(self, parameters: dict[str, Value], seed: int) -> Curve:
        try:
            curve = self._inner.curve(dict(parameters), seed)
        except Exception as error:
            asked = f"curve({show(parameters)}, {seed})"
            raise _refuse(self._reference, f"{asked} failed: {_told(error)}") from error
        keys = ("resource", "seconds", "metrics")
        if not isinstance(curve, Mapping) or any(key not in curve for key in keys):
            problem = f"curve(…) must return a dict with the keys {', '.join(keys)}"
            raise _refuse(self._reference, problem)
        return curve


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _refuse(reference: str, problem: str) -> BenchmarkError:
    return BenchmarkError(f"--benchmark {reference}: {problem}")
