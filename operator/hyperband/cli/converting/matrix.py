"""Polyaxon's matrix: fourteen ways to write down what a parameter may be.

What they mean is what Polyaxon's documentation says: numpy's arange, linspace, logspace and
geomspace, and hyperopt's distributions, whose log… take the logarithms of the bounds and whose q…
round to the nearest multiple of q.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hyperband.api.schema.parameters import MAX_VALUES
from hyperband.cli.converting import spaces
from hyperband.cli.converting.source import Notes, Section, read_number, read_whole
from hyperband.cli.converting.spaces import Parameter, tidy
from hyperband.core.errors import InvalidStudyError
from hyperband.core.parameters import Value, show


@dataclass(frozen=True, slots=True)
class Given:
    """One entry of the matrix: a parameter's name and what stands below its kind."""

    name: str
    value: Any
    path: str
    notes: Notes

    def numbers(self, *names: str, optional: Sequence[str] = ()) -> list[Fraction]:
        """[1, 2, 3], "1:2:3" or {start: 1, stop: 2, step: 3}; what may be left out may be there.

        Raises:
            InvalidStudyError: it is none of these, or has too few or too many.
        """
        value, shape = self.value, f"[{', '.join(names)}]"
        if isinstance(value, str):
            value = value.split(":")
        elif isinstance(value, dict):
            found = [value.get(name) for name in (*names, *optional)]
            value = [each for each in found if each is not None]
        if not isinstance(value, list):
            raise InvalidStudyError(self.path, f"{show(self.value)} is not {shape}: write that")
        if not len(names) <= len(value) <= len(names) + len(optional):
            told = f"{show(self.value)} is not {shape}: give {len(names)} numbers"
            raise InvalidStudyError(self.path, told)
        return [read_number(each, self.path) for each in value]

    def bounds(self, *names: str, optional: Sequence[str] = ()) -> list[Fraction]:
        """Numbers of which the second is to be above the first."""
        found = self.numbers(*names, optional=optional)
        if found[0] >= found[1]:
            told = f"{names[0]} {tidy(found[0])} is not below {names[1]} {tidy(found[1])}"
            raise InvalidStudyError(self.path, f"{told}: exchange or change them")
        return found

    def positive(self, number: Fraction, what: str) -> Fraction:
        """The number, which must be above 0."""
        if number <= 0:
            raise InvalidStudyError(self.path, f"{what} {tidy(number)} is not above 0: raise it")
        return number


def matrix_parameter(name: str, section: Section, notes: Notes) -> Parameter:
    """A parameter of ours from an entry of the matrix.

    Raises:
        InvalidStudyError: it is not as Polyaxon has it.
    """
    kinds = [str(key) for key, value in section.content.items() if value is not None]
    if len(kinds) != 1 or kinds[0] not in KINDS:
        told = f"has {', '.join(kinds) or 'nothing'}: give one of {', '.join(KINDS)}"
        raise InvalidStudyError(section.path, told)
    (kind,) = kinds
    return KINDS[kind](Given(name, section.get(kind), section.field(kind), notes))


def _values(given: Given) -> Parameter:
    if not isinstance(given.value, list):
        raise InvalidStudyError(given.path, f"{show(given.value)} is no list: list the values")
    values = [_scalar(given, value) for value in given.value]
    return spaces.choices(given.name, values, None, given.path)


def _scalar(given: Given, value: Any) -> Value:
    plain = spaces.scalar(value)
    if plain is not value:
        told = f"{show(value)} is no string, number or boolean: it is given as JSON text"
        given.notes.add(given.path, f"{told}, which the training reads with json.loads")
    return plain


def _pvalues(given: Given) -> Parameter:
    pairs: list[Any] = given.value if isinstance(given.value, list) else [None]
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        told = f"{show(given.value)} is not [[value, probability], …]: write that"
        raise InvalidStudyError(given.path, told)
    values = [_scalar(given, value) for value, _ in pairs]
    shares = [read_number(share, f"{given.path}[{i}]", 0) for i, (_, share) in enumerate(pairs)]
    total = sum(shares)
    if total > 1 or not total:
        told = f"sum to {tidy(total)}: give probabilities that sum to 1"
        raise InvalidStudyError(given.path, told)
    if total != 1:
        given.notes.add(given.path, _normalized(values, shares))
    return spaces.choices(given.name, values, [float(share) for share in shares], given.path)


def _normalized(values: Sequence[Value], shares: Sequence[Fraction]) -> str:
    total, last = sum(shares), show(values[-1])
    each = ", ".join(
        f"{show(v)} {float(s / total):.4g}" for v, s in zip(values, shares, strict=True)
    )
    rest = f"{float(shares[-1] + 1 - total):.4g}"
    return (
        f"sum to {tidy(total)}, not to 1: normalized to {each}. Polyaxon gave the rest to the last "
        f"one ({last} {rest}): for that, change its weight in spec.parameters"
    )


def _range(given: Given) -> Parameter:
    start, stop, step = given.bounds("start", "stop", "step")
    count = math.ceil((stop - start) / given.positive(step, "step"))
    return spaces.grid(given.name, start, step, count)


def _linspace(given: Given) -> Parameter:
    start, stop, number = given.bounds("start", "stop", "num")
    count = read_whole(float(number), given.path, 1)
    if count > MAX_VALUES:
        return _without_steps(given, count, spaces.spread(given.name, start, stop, log=False))
    return _listed(given, [start + (stop - start) * place for place in _places(count)])


def _logspace(given: Given) -> Parameter:
    start, stop, number, *rest = given.bounds("start", "stop", "num", optional=["base"])
    base = float(given.positive(rest[0] if rest else Fraction(10), "base"))
    count = read_whole(float(number), given.path, 1)
    first, last = _power(given, base, start), _power(given, base, stop)
    if count > MAX_VALUES:
        low, high = sorted((first, last))
        return _without_steps(given, count, spaces.spread(given.name, low, high, log=True))
    exponents = [start + (stop - start) * place for place in _places(count)]
    return _listed(given, [_power(given, base, exponent) for exponent in exponents])


def _power(given: Given, base: float, exponent: Fraction) -> float:
    try:
        power = math.pow(base, float(exponent))
    except OverflowError:
        power = math.inf
    if not 0 < power < math.inf:
        told = f"{base:g} to the power of {tidy(exponent)} is no number that a float can hold"
        raise InvalidStudyError(given.path, f"{told}: give exponents, not the values themselves")
    return power


def _geomspace(given: Given) -> Parameter:
    start, stop, number = given.bounds("start", "stop", "num")
    given.positive(start, "start")
    count = read_whole(float(number), given.path, 1)
    if count > MAX_VALUES:
        return _without_steps(given, count, spaces.spread(given.name, start, stop, log=True))
    low, high = float(start), float(stop)
    shares = [float(place) for place in _places(count)]
    return _listed(given, [low ** (1 - share) * high**share for share in shares])


def _places(count: int) -> list[Fraction]:
    return [Fraction(i, max(1, count - 1)) for i in range(count)]


def _listed(given: Given, values: Sequence[float | Fraction]) -> Parameter:
    return spaces.choices(given.name, [tidy(value) for value in values], None, given.path)


def _without_steps(given: Given, count: int, made: Parameter) -> Parameter:
    told = f"are {count} values, and a list may have {MAX_VALUES}: it is any number from "
    given.notes.add(given.path, f"{told}{made['min']} to {made['max']}; thin it out to keep a list")
    return made


def _uniform(given: Given) -> Parameter:
    low, high, *_ = given.bounds("low", "high", optional=["size"])
    return spaces.spread(given.name, low, high, log=False)


def _quniform(given: Given) -> Parameter:
    low, high, q, *_ = given.bounds("low", "high", "q", optional=["size"])
    first, count = spaces.multiples(low, high, given.positive(q, "q"))
    last = first + (count - 1) * q
    if (first, last) != (low, high):
        told = (
            f"rounds to multiples of {tidy(q)}, which are those from {tidy(first)} to {tidy(last)}"
        )
        given.notes.add(given.path, told)
    return spaces.grid(given.name, first, q, count)


def _loguniform(given: Given) -> Parameter:
    low, high = _exponentials(given, *given.bounds("low", "high", optional=["size"])[:2])
    return spaces.spread(given.name, low, high, log=True)


def _qloguniform(given: Given) -> Parameter:
    *bounds, q = given.bounds("low", "high", "q", optional=["size"])[:3]
    low, high = _exponentials(given, *bounds)
    made, kept = spaces.log_grid(given.name, low, high, given.positive(q, "q"))
    if not kept:
        told = f"has more than {MAX_VALUES} multiples of {tidy(q)} on a logarithmic scale, which "
        given.notes.add(given.path, f"{told}has no steps here: round in the training, or raise q")
    return made


def _exponentials(given: Given, low: Fraction, high: Fraction) -> tuple[float, float]:
    """The bounds themselves, as Polyaxon takes their natural logarithms."""
    found = _power(given, math.e, low), _power(given, math.e, high)
    told = f"are natural logarithms, as Polyaxon takes them: values from {tidy(found[0])} to "
    mend = "if the bounds themselves were meant, write them into min and max"
    given.notes.add(given.path, f"{told}{tidy(found[1])}; {mend}")
    return found


def _bell(*, log: bool, stepped: bool) -> Callable[[Given], Parameter]:
    def made(given: Given) -> Parameter:
        names = ("loc", "scale", "q") if stepped else ("loc", "scale")
        found = given.numbers(*names, optional=["size"])
        mean, deviation = float(found[0]), float(given.positive(found[1], "scale"))
        q = given.positive(found[2], "q") if stepped else None
        low, high = spaces.ends(mean, deviation, log=log, path=given.path)
        told = f"has no end; here it ends at 4 deviations, {low:.6g} and {high:.6g}"
        given.notes.add(given.path, f"{told}: set min and max where fewer make sense")
        return spaces.bell(given.name, mean, deviation, q, log=log, path=given.path)

    return made


KINDS: dict[str, Callable[[Given], Parameter]] = {
    "values": _values,
    "pvalues": _pvalues,
    "range": _range,
    "linspace": _linspace,
    "logspace": _logspace,
    "geomspace": _geomspace,
    "uniform": _uniform,
    "quniform": _quniform,
    "loguniform": _loguniform,
    "qloguniform": _qloguniform,
    "normal": _bell(log=False, stepped=False),
    "qnormal": _bell(log=False, stepped=True),
    "lognormal": _bell(log=True, stepped=False),
    "qlognormal": _bell(log=True, stepped=True),
}
