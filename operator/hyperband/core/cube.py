"""Many places of a search space at once: what `Space` does one configuration at a time, in arrays.

A place is canonical if some configuration encodes to it: integers, steps and ordinals in the middle
of their cells, one value of each categorical, inactive parameters at their fixed point.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from hyperband.core.axes import Axis, ContinuousAxis, GridAxis, OneHotAxis, OrdinalAxis, axis
from hyperband.core.space import Space

Array = npt.NDArray[np.float64]

# Finer grids are as good as continuous: no surrogate can tell their cells apart.
_FINEST = 10_000


@dataclass(frozen=True, slots=True)
class Continuous:
    """One axis on which every number is a value."""

    varies = True

    def place(self, uniforms: Array) -> Array:
        return uniforms[:, None]

    def snap(self, block: Array) -> Array:
        return block


@dataclass(frozen=True, slots=True)
class Cells:
    """One axis cut into cells; a value is in the middle of each."""

    inner: Array  # (cells - 1,) where one cell ends and the next begins
    middles: Array  # (cells,)

    @property
    def varies(self) -> bool:
        """Whether there is more than one value."""
        return len(self.middles) > 1

    def place(self, uniforms: Array) -> Array:
        return self.middles[np.searchsorted(self.inner, uniforms, side="right")][:, None]

    def snap(self, block: Array) -> Array:
        return self.place(block[:, 0])


@dataclass(frozen=True, slots=True)
class OneHot:
    """One axis a value."""

    inner: Array  # (values - 1,) of the CDF
    likely: npt.NDArray[np.bool_]  # (values,) those that have any weight
    places: Array  # (values, values) one row a value; shared, never changed

    @property
    def varies(self) -> bool:
        """Whether there is more than one likely value."""
        return int(self.likely.sum()) > 1

    def place(self, uniforms: Array) -> Array:
        return self.places[np.searchsorted(self.inner, uniforms, side="right")]

    def snap(self, block: Array) -> Array:
        nearest: Array = self.places[np.argmax(np.where(self.likely, block, -1.0), axis=1)]
        return nearest


@dataclass(frozen=True, slots=True)
class Nothing:
    """A constant has no axis."""

    varies = False

    def place(self, uniforms: Array) -> Array:
        return np.zeros((len(uniforms), 0))

    def snap(self, block: Array) -> Array:
        return block


Block = Continuous | Cells | OneHot | Nothing


@dataclass(frozen=True, slots=True)
class Condition:
    """The parent is active and has one of these values: what a parameter's `when` asks of it."""

    child: int
    parent: int
    places: Array  # (values, width of the parent)


class Cube:
    """Vectorized access to the unit cube of a space, (m, d) at a time."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.names = [p.name for p in space.parameters]
        self.slices = [space.blocks[name] for name in self.names]
        own = {p.name: axis(p) for p in space.parameters}
        self.blocks: list[Block] = [_block(own[name]) for name in self.names]
        widths = [block.stop - block.start for block in self.slices]
        self._owner = np.repeat(np.arange(len(widths)), widths)  # (d,) the parameter of each axis
        absent = [own[name].absent for name in self.names]
        self._absent = np.repeat(np.array(absent, dtype=float), widths)  # (d,)
        position = {name: i for i, name in enumerate(self.names)}
        self._conditions = [  # parents first
            Condition(
                position[p.name],
                position[parent],
                np.array([own[parent].encode(value) for value in values], dtype=float),
            )
            for p in space.parents_first
            for parent, values in p.when.items()
        ]
        # What a categorical parent must be, (d, conditions): 1 at each of the values.
        self._wanted = np.zeros((space.dimension, len(self._conditions)))
        for column, condition in enumerate(self._conditions):
            if isinstance(self.blocks[condition.parent], OneHot):
                rows = self.slices[condition.parent]
                self._wanted[rows, column] = condition.places.max(axis=0, initial=0.0)

    @property
    def conditional(self) -> bool:
        """Whether some parameters are not always active."""
        return bool(self._conditions)

    def place(self, uniforms: Array) -> Array:
        """The canonical places (m, d) at CDF positions (m, n_parameters) in [0, 1)."""
        return self._deactivate(self.draw(uniforms))

    def draw(self, uniforms: Array) -> Array:
        """As `place`, but inactive parameters have values too: what they are if they get active."""
        columns = [b.place(uniforms[:, i]) for i, b in enumerate(self.blocks)]
        return np.concatenate([np.zeros((len(uniforms), 0)), *columns], axis=1)

    def snap(self, places: Array) -> Array:
        """The canonical places (m, d) nearest to places in [0, 1]."""
        snapped = np.empty_like(places)
        for block, own in zip(self.blocks, self.slices, strict=True):
            snapped[:, own] = block.snap(places[:, own])
        return self._deactivate(snapped)

    def active(self, places: Array) -> npt.NDArray[np.bool_]:
        """Which parameters are active at canonical places, (m, n_parameters)."""
        # Parameters come first in memory: below, one is looked at at a time.
        active = np.ones((len(self.blocks), len(places)), dtype=np.bool_)
        chosen = (places @ self._wanted).T > 0.5
        for own, condition in zip(chosen, self._conditions, strict=True):
            if isinstance(self.blocks[condition.parent], OneHot):
                held = own
            else:
                block = places[:, None, self.slices[condition.parent]]
                apart = np.abs(block - condition.places[None]).max(axis=2, initial=0.0)
                held = apart.min(axis=1) < 1e-9
            active[condition.child] &= active[condition.parent] & held
        return active.T

    def _deactivate(self, places: Array) -> Array:
        if self._conditions:
            off = ~self.active(places)[:, self._owner]
            np.copyto(places, self._absent[None, :], where=off)
        return places


def _block(own: Axis) -> Block:
    if isinstance(own, ContinuousAxis):
        return Continuous()
    if isinstance(own, GridAxis):
        return Continuous() if own.count > _FINEST else _cells(own.edges())
    if isinstance(own, OrdinalAxis):
        return _cells(own.ends)
    if isinstance(own, OneHotAxis):
        likely = np.array(own.weights) > 0
        return OneHot(np.array(own.ends[1:-1]), likely, _hot(own.width))
    return Nothing()


@cache
def _hot(width: int) -> Array:
    return np.eye(width)


def _cells(edges: tuple[float, ...]) -> Cells:
    """Cells between ascending edges; those without any width hold no value that is ever drawn."""
    ends = np.array(edges)
    middles = (ends[:-1] + ends[1:]) / 2.0
    wide = np.diff(ends) > 0
    return Cells(ends[1:][wide][:-1], middles[wide])
