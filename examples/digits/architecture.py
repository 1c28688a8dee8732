"""Trains a network whose architecture the trial's parameters describe, with numpy alone.

    images ── stem ── hidden layer 1 ── [2] ── [3] ── scores
               └────────────┴──────── skip ───────────┘

The stem is the pixels as they are, or a convolution with pooling; the scores may also see what the
stem or the first layer puts out. What a layer is like is a parameter only if the network is so
deep, and so on: `Config` says what depends on what. Data and training are those of train.py.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from hyperband.report import parameters
from train import CLASSES, SIDE, Array, Labels, cross_entropy_slope, train

KERNEL = 3  # pixels on a side
SMALLEST_VARIANCE = 1e-5


@dataclass(frozen=True)
class Config:
    """Parameters; the defaults serve a run by hand, and stand for what a trial leaves out."""

    learning_rate: float = 0.05
    stem: str = "pixels"  # or convolution, which has
    filters: int = 8
    pool: int = 2  # pixels on a side that are averaged; 1: none are
    layers: int = 2  # hidden ones, 1 to 3
    units_1: int = 64
    activation_1: str = "relu"  # or tanh
    units_2: int = 64  # with two layers or three
    activation_2: str = "relu"
    units_3: int = 64  # with three
    activation_3: str = "relu"
    skip: bool = False  # with two or three: whether the scores see more than the last one, namely
    skip_from: str = "stem"  # or first
    normalization: str = "none"  # of what goes into each activation; layer, or batch, which has
    batch_memory: float = 0.9  # the weight of the batches before in what validation uses
    batch_size: int = 64
    momentum: float = 0.9
    seed: int = 0


class Layer(ABC):
    """A function of rows with variables of its own.

    `backward` goes by the last `forward`, and leaves the variables' gradients in `gradients`.
    """

    def __init__(self, variables: Iterable[Array] = (), memory: Iterable[Array] = ()) -> None:
        self.variables = list(variables)
        self.memory = list(memory)  # what else training changes, in place
        self.gradients: list[Array] = []

    @abstractmethod
    def forward(self, inputs: Array, training: bool) -> Array:
        """What comes out, one row for each that goes in."""

    @abstractmethod
    def backward(self, error: Array) -> Array:
        """The loss' derivative by what went in, from that by what came out."""


class Dense(Layer):
    """Inputs times weights (inputs, units), plus biases."""

    def __init__(self, inputs: int, units: int, rng: np.random.Generator) -> None:
        super().__init__([_weights(inputs, units, rng), np.zeros(units, np.float32)])

    def forward(self, inputs: Array, training: bool) -> Array:
        weights, biases = self.variables
        self._inputs = inputs
        return inputs @ weights + biases

    def backward(self, error: Array) -> Array:
        self.gradients = [self._inputs.T @ error, error.sum(axis=0)]
        return error @ self.variables[0].T


class Activation(Layer):
    """relu or tanh."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._relu = kind == "relu"

    def forward(self, inputs: Array, training: bool) -> Array:
        self._outputs = np.maximum(inputs, 0) if self._relu else np.tanh(inputs)
        return self._outputs

    def backward(self, error: Array) -> Array:
        return error * (self._outputs > 0) if self._relu else error * (1 - self._outputs**2)


class Normalization(Layer):
    """To mean 0 and variance 1, then times gains, plus shifts; both (units,).

    Each row by itself (layer), or each unit over the rows (batch): then validation goes by what is
    remembered of the batches of training.
    """

    def __init__(self, units: int, batch: bool, memory: float) -> None:
        zeros, ones = np.zeros(units, np.float32), np.ones(units, np.float32)
        super().__init__([ones, zeros], [zeros.copy(), ones.copy()] if batch else [])
        self._axis = 0 if batch else 1
        self._weight = np.float32(memory)

    def forward(self, inputs: Array, training: bool) -> Array:
        if self.memory and not training:
            mean, variance = self.memory
        else:
            mean = inputs.mean(axis=self._axis, keepdims=True)
            variance = inputs.var(axis=self._axis, keepdims=True)
            for remembered, now in zip(self.memory, (mean, variance), strict=False):
                remembered[:] = self._weight * remembered + (1 - self._weight) * now[0]
        self._deviation = np.sqrt(variance + np.float32(SMALLEST_VARIANCE))
        self._normal = (inputs - mean) / self._deviation
        gains, shifts = self.variables
        outputs: Array = self._normal * gains + shifts
        return outputs

    def backward(self, error: Array) -> Array:
        self.gradients = [(error * self._normal).sum(axis=0), error.sum(axis=0)]
        error = error * self.variables[0]
        mean = error.mean(axis=self._axis, keepdims=True)
        along = (error * self._normal).mean(axis=self._axis, keepdims=True)
        result: Array = (error - mean - self._normal * along) / self._deviation
        return result


class Convolution(Layer):
    """Filters over 3 x 3 pixels, relu, then averages over squares of `pool` x `pool` pixels.

    From images (n, 64) to (n, places times filters); weights have shape (9, filters).
    """

    def __init__(self, filters: int, pool: int, rng: np.random.Generator) -> None:
        weights = _weights(KERNEL**2, filters, rng)
        super().__init__([weights, np.zeros(filters, np.float32)])
        self._squares = (SIDE // pool, pool, SIDE // pool, pool, filters)
        self.outputs = (SIDE // pool) ** 2 * filters

    def forward(self, inputs: Array, training: bool) -> Array:
        n, weights, biases = len(inputs), *self.variables
        images = np.pad(inputs.reshape(n, SIDE, SIDE), ((0, 0), (1, 1), (1, 1)))
        windows = sliding_window_view(images, (KERNEL, KERNEL), axis=(1, 2))
        self._windows = windows.reshape(n * SIDE**2, KERNEL**2)
        self._outputs = np.maximum(self._windows @ weights + biases, 0)
        pooled: Array = self._outputs.reshape(n, *self._squares).mean(axis=(2, 4))
        return pooled.reshape(n, self.outputs)

    def backward(self, error: Array) -> Array:
        n, (side, pool, _, _, filters) = len(error), self._squares
        shares = (error / np.float32(pool**2)).reshape(n, side, 1, side, 1, filters)
        spread = np.broadcast_to(shares, (n, *self._squares)).reshape(-1, filters)
        spread = spread * (self._outputs > 0)
        self.gradients = [self._windows.T @ spread, spread.sum(axis=0)]
        return np.zeros((n, 0), np.float32)  # nobody asks what the pixels should be


class Network:
    """The network of a configuration, trained by gradient descent with momentum."""

    def __init__(self, config: Config) -> None:
        self.config = config
        rng = np.random.default_rng([config.seed, 0])
        units = [
            (config.units_1, config.activation_1),
            (config.units_2, config.activation_2),
            (config.units_3, config.activation_3),
        ][: config.layers]
        self._stem: list[Layer] = []
        widths = [SIDE**2]
        if config.stem == "convolution":
            convolution = Convolution(config.filters, config.pool, rng)
            self._stem, widths = [convolution], [convolution.outputs]
        self._hidden: list[list[Layer]] = []
        for width, activation in units:
            normalization = self._normalization(width)
            dense = Dense(widths[-1], width, rng)
            self._hidden.append([dense, *normalization, Activation(activation)])
            widths.append(width)
        # Where the skip connection comes from: the output of so many hidden layers.
        self._source = (0 if config.skip_from == "stem" else 1) if config.skip else None
        seen = widths[-1] + (0 if self._source is None else widths[self._source])
        self._last, self._head = widths[-1], Dense(seen, CLASSES, rng)
        layers = [*self._stem, *(each for block in self._hidden for each in block), self._head]
        self.layers = layers
        self.velocities = [np.zeros_like(each) for layer in layers for each in layer.variables]

    def _normalization(self, units: int) -> list[Layer]:
        kind = self.config.normalization
        if kind == "none":
            return []
        return [Normalization(units, kind == "batch", self.config.batch_memory)]

    @property
    def state(self) -> list[Array]:
        own = [array for layer in self.layers for array in (*layer.variables, *layer.memory)]
        return [*own, *self.velocities]

    def scores(self, images: Array) -> Array:
        return self.forward(images, training=False)

    def forward(self, images: Array, training: bool) -> Array:
        """The scores, (n, 10)."""
        outputs = [_forward(self._stem, images, training)]
        for block in self._hidden:
            outputs.append(_forward(block, outputs[-1], training))
        seen = outputs[-1:] if self._source is None else [outputs[-1], outputs[self._source]]
        return self._head.forward(np.concatenate(seen, axis=1), training)

    def backward(self, error: Array) -> None:
        """Leaves gradients in all layers, from the loss' derivative by the scores."""
        error = self._head.backward(error)
        error, skipped = error[:, : self._last], error[:, self._last :]
        for position in reversed(range(len(self._hidden))):
            error = _backward(self._hidden[position], error)
            if position == self._source:
                error = error + skipped
        _backward(self._stem, error)

    def step(self, images: Array, labels: Labels, rng: np.random.Generator) -> None:
        self.backward(cross_entropy_slope(self.forward(images, training=True), labels))
        pairs = (
            pair
            for layer in self.layers
            for pair in zip(layer.variables, layer.gradients, strict=True)
        )
        for velocity, (variable, gradient) in zip(self.velocities, pairs, strict=True):
            velocity *= np.float32(self.config.momentum)
            velocity += gradient
            variable -= np.float32(self.config.learning_rate) * velocity


def _weights(inputs: int, units: int, rng: np.random.Generator) -> Array:
    """He's initialization."""
    deviation = np.float32(np.sqrt(2.0 / inputs))
    return rng.standard_normal((inputs, units), dtype=np.float32) * deviation


def _forward(layers: Iterable[Layer], rows: Array, training: bool) -> Array:
    for layer in layers:
        rows = layer.forward(rows, training)
    return rows


def _backward(layers: list[Layer], error: Array) -> Array:
    for layer in reversed(layers):
        error = layer.backward(error)
    return error


def main() -> None:
    """Trains the network that the trial's parameters describe."""
    config = Config(**parameters())
    train(Network(config), config.batch_size, config.seed)


if __name__ == "__main__":
    main()
