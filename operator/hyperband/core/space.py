"""The search space: its parameters, their conditions, and the codec to and from the unit cube.

A configuration is a dict of the active parameters' values in the order of declaration. A parameter
is active if all parents named in its `when` are active and have one of the values listed there;
conditions may be chained, and a parent may be declared after its child.

The unit cube [0, 1]^d has a block of axes for each parameter, in the order of declaration; see
`hyperband.core.axes` for how a value lies in its block. The block of an inactive parameter is 0.5
on a numeric axis, and all 0 where the parameter is one-hot.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from itertools import chain

import numpy as np
import numpy.typing as npt

from hyperband.core.axes import Axis, ContinuousAxis, GridAxis, OrdinalAxis, axis
from hyperband.core.errors import InvalidStudyError, raise_first
from hyperband.core.parameter_checks import (
    Problems,
    condition_problems,
    name_problems,
    parameter_problems,
)
from hyperband.core.parameters import (
    Categorical,
    Choice,
    Constant,
    Distribution,
    Float,
    Integer,
    Number,
    Ordinal,
    Parameter,
    Scale,
    Value,
    environment_suffix,
    identity,
    show,
)

__all__ = [
    "Categorical",
    "Choice",
    "Constant",
    "Distribution",
    "Float",
    "Integer",
    "Number",
    "Ordinal",
    "Parameter",
    "Scale",
    "Space",
    "Value",
    "environment_suffix",
]

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Space:
    """The parameters of a study.

    Raises:
        InvalidStudyError: a parameter cannot be as written; its field is under spec.parameters.
    """

    parameters: tuple[Parameter, ...]
    dimension: int = field(init=False, compare=False)  # d
    blocks: Mapping[str, slice] = field(init=False, repr=False, compare=False)  # by name, of d
    _axes: Mapping[str, Axis] = field(init=False, repr=False, compare=False)
    parents_first: tuple[Parameter, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parameters = tuple(self.parameters)
        raise_first(space_problems(parameters))
        axes = {p.name: axis(p) for p in parameters}
        blocks, start = {}, 0
        for name, own in axes.items():
            blocks[name] = slice(start, start + own.width)
            start += own.width
        by_name = {p.name: p for p in parameters}
        order = TopologicalSorter({p.name: list(p.when) for p in parameters}).static_order()
        values = {
            "parameters": parameters,
            "dimension": start,
            "blocks": blocks,
            "_axes": axes,
            "parents_first": tuple(by_name[name] for name in order),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def numeric(self) -> npt.NDArray[np.bool_]:
        """Which axes of the unit cube are numeric (or ordinal) and not one-hot, (d,)."""
        mask = np.ones(self.dimension, dtype=np.bool_)
        for parameter in self.parameters:
            if isinstance(parameter, Categorical):
                mask[self.blocks[parameter.name]] = False
        return mask

    def sample(self, uniforms: Sequence[float] | Vector) -> dict[str, Value]:
        """The configuration at these CDF positions.

        Args:
            uniforms: (n_parameters,) in [0, 1), one a parameter in the order of declaration,
                active or not, constants included: no draw depends on another parameter's value.
        """
        return self.complete({}, uniforms)

    def complete(
        self, given: Mapping[str, Value], uniforms: Sequence[float] | Vector
    ) -> dict[str, Value]:
        """The given values, what is missing sampled as by `sample`, what is inactive dropped.

        Raises:
            InvalidStudyError: as `validate_point`.
        """
        known = self.canonical(given)
        if len(uniforms) != len(self.parameters):
            raise ValueError(f"{len(uniforms)} uniforms for {len(self.parameters)} parameters")
        values: dict[str, Value] = {}
        for (name, own), u in zip(self._axes.items(), uniforms, strict=True):
            values[name] = known[name] if name in known else own.quantile(float(u))
        return self._active(values)

    def canonical(
        self, given: Mapping[str, Value], field: str = "spec.initialParameters"
    ) -> dict[str, Value]:
        """The given values as the parameters have them: in order, of their types, on their grids.

        Raises:
            InvalidStudyError: as `validate_point`.
        """
        values: dict[str, Value] = {}
        for name, value in given.items():
            if name not in self._axes:
                names = ", ".join(self._axes)
                raise InvalidStudyError(
                    f"{field}.{name}",
                    f"no parameter is named {show(name)}: use one of {names}",
                )
            try:
                values[name] = self._axes[name].canonical(value)
            except ValueError as error:
                raise InvalidStudyError(f"{field}.{name}", str(error)) from None
        return {name: values[name] for name in self._axes if name in values}

    def validate_point(
        self,
        parameters: Mapping[str, Value],
        partial: bool = True,
        field: str = "spec.initialParameters",
    ) -> None:
        """Checks a configuration that a user has given.

        Args:
            parameters: values by name.
            partial: whether active parameters may be missing and inactive ones be there.
            field: where the configuration stands, for the error.

        Raises:
            InvalidStudyError: an unknown name or a value that the parameter cannot have, and
                unless partial, a missing or an inactive parameter.
        """
        self.canonical(parameters, field)
        if not partial:
            self._refuse_partial(parameters, field)

    def _refuse_partial(self, parameters: Mapping[str, Value], field: str) -> None:
        active = self._active(parameters)
        for parameter in self.parents_first:
            name = parameter.name
            if name not in parameters and _holds(parameter, active):
                raise InvalidStudyError(f"{field}.{name}", "is missing: give it a value")
            if name in parameters and name not in active:
                conditions = ", ".join(
                    f"{parent} is one of {show(list(values))}"
                    for parent, values in parameter.when.items()
                )
                raise InvalidStudyError(
                    f"{field}.{name}",
                    f"{show(parameters[name])} has no effect, as the parameter is active only if"
                    f" {conditions}: leave it out",
                )

    def encode(self, parameters: Mapping[str, Value]) -> Vector:
        """The configuration's place in the unit cube, (d,); what is absent counts as inactive.

        Raises:
            ValueError: a value that a Categorical, Ordinal or Constant cannot have. Numbers out of
                range come to lie on the nearest face.
        """
        return self.encode_many([parameters]).reshape(self.dimension)

    def encode_many(self, configurations: Sequence[Mapping[str, Value]]) -> Vector:
        """The places of n configurations, (n, d); see `encode`."""
        places = np.empty((len(configurations), self.dimension))
        for name, own in self._axes.items():
            block = places[:, self.blocks[name]]
            for row, parameters in zip(block, configurations, strict=True):
                row[:] = own.encode(parameters[name]) if name in parameters else own.absent
        return places

    def decode(self, vector: Sequence[float] | Vector) -> dict[str, Value]:
        """The configuration at a place in the unit cube, (d,); entries are clipped to [0, 1]."""
        place = np.asarray(vector, dtype=np.float64)
        if place.shape != (self.dimension,):
            raise ValueError(f"a vector of shape {place.shape} for dimension {self.dimension}")
        entries = np.clip(place, 0.0, 1.0).tolist()
        return self._active(
            {name: own.decode(entries[self.blocks[name]]) for name, own in self._axes.items()}
        )

    def decode_block(self, name: str, block: Sequence[float] | Vector) -> Value:
        """One parameter's value at a place in its block, active or not; as `decode` otherwise."""
        return self._axes[name].decode(np.clip(block, 0.0, 1.0).tolist())

    def cell(self, name: str, value: Value) -> tuple[float, float]:
        """The ends of the interval of a numeric axis that `decode` takes for this value.

        They are equal on a continuous axis; one value alone fills [0, 1].

        Raises:
            ValueError: as `encode`; or the parameter has no numeric axis.
        """
        own = self._axes[name]
        if not isinstance(own, ContinuousAxis | GridAxis | OrdinalAxis):
            raise ValueError(f"{name} has no numeric axis")
        return own.cell(value)

    def _active(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """The values without those of inactive parameters, in the order of declaration."""
        active: dict[str, Value] = {}
        for parameter in self.parents_first:
            if parameter.name in values and _holds(parameter, active):
                active[parameter.name] = values[parameter.name]
        return {p.name: active[p.name] for p in self.parameters if p.name in active}


def _holds(parameter: Parameter, active: Mapping[str, Value]) -> bool:
    """Whether all conditions of a parameter hold among the values of active parents."""
    return all(
        parent in active and identity(active[parent]) in (identity(value) for value in allowed)
        for parent, allowed in parameter.when.items()
    )


def space_problems(
    parameters: Sequence[Parameter], conditions: bool = True
) -> Iterator[InvalidStudyError]:
    """All that is wrong with parameters; with their conditions only if nothing else is.

    Args:
        conditions: whether these are looked at at all.
    """
    found = not conditions
    for path, problem in chain(name_problems(parameters), _single_problems(parameters)):
        found = True
        yield InvalidStudyError(f"spec.parameters{path}", problem)
    if not found:
        axes = {p.name: axis(p) for p in parameters}
        for path, problem in condition_problems(parameters, axes):
            yield InvalidStudyError(f"spec.parameters{path}", problem)


def _single_problems(parameters: Sequence[Parameter]) -> Problems:
    for i, parameter in enumerate(parameters):
        for name, problem in parameter_problems(parameter):
            yield f"[{i}].{name}", problem
