"""`--benchmark package.module:factory`: finds it, and says what is wrong with it."""

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import shorten
from types import ModuleType

from hyperband.backends.simulator.curves import Benchmark, BenchmarkError, Curve
from hyperband.core.space import Value


def load_benchmark(reference: str) -> Benchmark:
    """What the factory returns, called without arguments.

    The module is looked up on the import path and in the current folder.

    Raises:
        BenchmarkError: there is no such module or factory, or it makes no benchmark.
    """
    name, colon, attribute = reference.partition(":")
    if not (name and colon and attribute):
        raise BenchmarkError("is not of the form package.module:factory")
    if name.endswith(".py") or "/" in name:
        dotted = name.removesuffix(".py").strip("./").replace("/", ".")
        mend = f"name its module, as an import does: {dotted}:{attribute}"
        raise BenchmarkError(f"{name} is a file: {mend}")
    module = _import(name)
    factory = getattr(module, attribute, None)
    if factory is None:
        there = ", ".join(_factories(module)) or "no function that needs no arguments"
        has = shorten(there, 500, placeholder=" …")
        raise BenchmarkError(f"module {name} has no {attribute}: name its factory; it has {has}")
    if not callable(factory):
        raise BenchmarkError(
            f"{attribute} is {type(factory).__name__}, not a function: name one that returns"
            " the benchmark"
        )
    try:
        made = factory()
    except Exception as error:
        raise BenchmarkError(f"{attribute}() failed: {_told(error)}") from error
    if not callable(getattr(made, "curve", None)):
        missing = "which has no method curve(parameters, seed): return one that has"
        raise BenchmarkError(f"{attribute}() returned {type(made).__name__}, {missing}")
    return _Guarded(made)


def _import(name: str) -> ModuleType:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            where = f"on the import path or in {folder}: start in its folder, or set PYTHONPATH"
            raise BenchmarkError(f"there is no module {error.name} {where}") from error
        raise BenchmarkError(f"importing {name} failed: {error}") from error
    except Exception as error:
        raise BenchmarkError(f"importing {name} failed: {_told(error)}") from error


def _factories(module: ModuleType) -> list[str]:
    """The names of what a module defines that can be called without arguments."""
    public = {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}
    own = {n: v for n, v in public.items() if getattr(v, "__module__", "") == module.__name__}
    return [name for name, value in own.items() if callable(value) and _needs_nothing(value)]


def _needs_nothing(function: Callable[..., object]) -> bool:
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):  # it needs arguments; it has no signature
        return False
    return True


class _Guarded:
    """A benchmark whose failures are those of a benchmark, not of ours."""

    def __init__(self, inner: Benchmark) -> None:
        self._inner = inner

    def curve(self, parameters: dict[str, Value], seed: int) -> Curve:
        try:
            return self._inner.curve(parameters, seed)
        except Exception as error:
            raise BenchmarkError(f"failed: {_told(error)}") from error


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
