"""Small changes of a configuration, for every kind of parameter.

One active parameter gets another value: a number a near one on its axis of the unit cube or, now
and then, any other one; a categorical any other one, by weight. What thereby becomes active is
sampled from the prior, what becomes inactive is dropped. So any configuration can be reached from
any other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hyperband.core.parameters import Categorical, Constant, Parameter, Value, identity
from hyperband.core.space import Space

NEAR = 0.4  # how far beyond the own cell a small step reaches, on the unit axis
FAR = 0.2  # probability of a step that reaches everything


@dataclass(frozen=True, slots=True)
class Mutation:
    """A changed configuration."""

    parameters: Mapping[str, Value]
    parameter: int  # the position, in the order of declaration, of the one that was changed


def mutate(
    space: Space, parameters: Mapping[str, Value], random: np.random.Generator
) -> Mutation | None:
    """A configuration that differs in one parameter; None if no parameter has another value.

    Args:
        parameters: a configuration of the space.
        random: is drawn from; the same state gives the same mutation.
    """
    able = changeable(space, parameters)
    if not able:
        return None
    position = able[int(random.integers(len(able)))]
    parameter = space.parameters[position]
    if isinstance(parameter, Categorical):
        value = _other_choice(parameter, parameters[parameter.name], random)
    else:
        value = _other_number(space, parameter.name, parameters[parameter.name], random)
    uniforms = random.random(len(space.parameters))
    return Mutation(space.complete({**parameters, parameter.name: value}, uniforms), position)


def changeable(space: Space, parameters: Mapping[str, Value]) -> list[int]:
    """The positions of the active parameters that have another value."""
    return [
        position
        for position, parameter in enumerate(space.parameters)
        if parameter.name in parameters and _can_change(space, parameter, parameters)
    ]


def mutations(able: int, random: np.random.Generator) -> int:
    """How many mutations make a child: k with a probability in proportion to 1/k.

    Mostly one, but up to half of the parameters that are able to change: one alone never gets away
    from a parent that is the best around. After the heavy-tailed mutation of Doerr et al. 2017
    (arXiv 1703.03334).
    """
    shares = np.cumsum(1.0 / np.arange(1, max(1, able // 2) + 1))
    return 1 + int(np.searchsorted(shares, random.random() * shares[-1], side="right"))


def _can_change(space: Space, parameter: Parameter, parameters: Mapping[str, Value]) -> bool:
    value = parameters[parameter.name]
    match parameter:
        case Constant():
            return False
        case Categorical():
            return bool(_others(parameter, value))
    low, high = space.cell(parameter.name, value)
    return low > 0.0 or high < 1.0


def _other_number(space: Space, name: str, value: Value, random: np.random.Generator) -> Value:
    """Uniform on the parts of the axis outside of the value's cell that a step reaches."""
    reach = 1.0 if random.random() < FAR else NEAR
    low, high = space.cell(name, value)
    below, above = min(low, reach), min(1.0 - high, reach)
    step = (below + above) * float(random.random())
    place = low - below + step if step < below else high + (step - below)
    return space.decode_block(name, [place])


def _others(parameter: Categorical, value: Value) -> list[tuple[Value, float]]:
    """The other values that the prior can give, with their weights."""
    weights = parameter.weights or (1.0,) * len(parameter.values)
    pairs = zip(parameter.values, weights, strict=True)
    return [(v, w) for v, w in pairs if w > 0 and identity(v) != identity(value)]


def _other_choice(parameter: Categorical, value: Value, random: np.random.Generator) -> Value:
    others = _others(parameter, value)
    ends = np.cumsum([weight / max(w for _, w in others) for _, weight in others])
    picked = int(np.searchsorted(ends, float(random.random()) * ends[-1], side="right"))
    return others[min(picked, len(others) - 1)][0]
