"""Trains a small neural network on handwritten digits, with numpy alone.

The data are 1797 images of 8 x 8 pixels, 0 to 16, and a label per row. One epoch sees each of the
1438 training images 32 times, each time shifted a little; the other 359 validate.

Everything random is a function of (seed, epoch), so that a run that was interrupted and resumed
gives the same numbers as one that was not.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hyperband.report import checkpoint, parameters, report, resource_target, resume_from

Array = NDArray[np.float32]
Labels = NDArray[np.int64]

CLASSES = 10
SIDE = 8  # pixels
BRIGHTEST = 16
VALIDATION = 0.2  # of the images
VIEWS = 32  # of each training image in an epoch
SHIFT = 0.5  # pixels at most
MAX_EPOCHS = 27


@dataclass(frozen=True)
class Config:
    """Hyperparameters; the defaults serve a run by hand."""

    learning_rate: float = 0.1
    batch_size: int = 32
    layers: int = 2  # hidden ones
    units: int = 64  # in each
    activation: str = "relu"  # or tanh
    dropout: float = 0.0  # the fraction of hidden units left out; inactive with one layer
    momentum: float = 0.9
    weight_decay: float = 1e-4
    seed: int = 0


class Data(NamedTuple):
    """Images are float32 of shape (n, 64), from 0 to 1."""

    images: Array
    labels: Labels
    validation_images: Array
    validation_labels: Labels


def load_data(path: Path) -> Data:
    """The data, split in the same way every time."""
    rows = np.loadtxt(path, delimiter=",", dtype=np.float32)
    rows = rows[np.random.default_rng(0).permutation(len(rows))]
    images, labels = rows[:, :-1] / np.float32(BRIGHTEST), rows[:, -1].astype(np.int64)
    held_out = int(VALIDATION * len(rows))
    return Data(images[held_out:], labels[held_out:], images[:held_out], labels[:held_out])


class Trainable(Protocol):
    """What `train` needs of a network."""

    @property
    def state(self) -> list[Array]:
        """All arrays that training changes, in place: what a checkpoint holds."""

    def scores(self, images: Array) -> Array:
        """Logarithms of the classes' probabilities up to a constant of each row: (n, 10)."""

    def step(self, images: Array, labels: Labels, rng: np.random.Generator) -> None:
        """One step of gradient descent on a batch; what is left out is drawn from rng."""


class Network:
    """A multilayer perceptron, trained by gradient descent with momentum on the cross-entropy.

    weights[i] has shape (inputs of layer i, its units), biases[i] (its units,); velocities are the
    running averages of their gradients, in the order of `variables`.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        sizes = [SIDE * SIDE, *[config.units] * config.layers, CLASSES]
        rng = np.random.default_rng([config.seed, 0])
        gain = 2.0 if config.activation == "relu" else 1.0  # He's, Glorot's initialization
        self.weights: list[Array] = [
            (rng.standard_normal((inputs, units)) * np.sqrt(gain / inputs)).astype(np.float32)
            for inputs, units in pairwise(sizes)
        ]
        self.biases: list[Array] = [np.zeros(units, np.float32) for units in sizes[1:]]
        self.velocities: list[Array] = [np.zeros_like(each) for each in self.variables]

    @property
    def variables(self) -> list[Array]:
        """All that is learned."""
        return [*self.weights, *self.biases]

    @property
    def state(self) -> list[Array]:
        return [*self.variables, *self.velocities]

    def scores(self, images: Array) -> Array:
        return self.forward(images)[-1]

    def forward(self, images: Array, rng: np.random.Generator | None = None) -> list[Array]:
        """What each layer puts out, the images first and the scores of shape (n, 10) last.

        Args:
            rng: draws the units to leave out; None: none are, as in validation.
        """
        outputs = [images]
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            total = outputs[-1] @ weight + bias
            output = np.maximum(total, 0) if self.config.activation == "relu" else np.tanh(total)
            if rng is not None and self.config.dropout > 0:
                kept = rng.random(output.shape, dtype=np.float32) >= self.config.dropout
                output *= kept / np.float32(1 - self.config.dropout)
            outputs.append(output)
        outputs.append(outputs[-1] @ self.weights[-1] + self.biases[-1])
        return outputs

    def gradients(self, outputs: list[Array], labels: Labels) -> list[Array]:
        """Gradients of the mean cross-entropy, in the order of `variables`."""
        error = cross_entropy_slope(outputs[-1], labels)
        of_weights: list[Array] = []
        of_biases: list[Array] = []
        for layer in reversed(range(len(self.weights))):
            of_weights.insert(0, outputs[layer].T @ error)
            of_biases.insert(0, error.sum(axis=0))
            if layer:
                error = (error @ self.weights[layer].T) * self._slope(outputs[layer])
        return [*of_weights, *of_biases]

    def _slope(self, output: Array) -> Array:
        """The derivative of activation and dropout, from what came out."""
        keep = np.float32(1 - self.config.dropout)
        if self.config.activation == "relu":
            slope = (output > 0) / keep
        else:  # exactly 0 is what dropout left out
            slope = (output != 0) * (1 - (output * keep) ** 2) / keep
        return slope.astype(np.float32, copy=False)

    def step(self, images: Array, labels: Labels, rng: np.random.Generator) -> None:
        gradients = self.gradients(self.forward(images, rng), labels)
        for variable, velocity, gradient in zip(
            self.variables, self.velocities, gradients, strict=True
        ):
            decay = self.config.weight_decay if variable.ndim == 2 else 0.0  # not of biases
            velocity *= np.float32(self.config.momentum)
            velocity += gradient + np.float32(decay) * variable
            variable -= np.float32(self.config.learning_rate) * velocity


def log_softmax(scores: Array) -> Array:
    """Logarithms of the probabilities; rows are images."""
    below = scores - scores.max(axis=1, keepdims=True)
    logarithms: Array = below - np.log(np.exp(below).sum(axis=1, keepdims=True))
    return logarithms


def cross_entropy_slope(scores: Array, labels: Labels) -> Array:
    """The derivative of the mean cross-entropy by the scores, (n, 10)."""
    slope: Array = np.exp(log_softmax(scores))
    slope[np.arange(len(labels)), labels] -= 1
    return slope / np.float32(len(labels))


def shifted(images: Array, rng: np.random.Generator) -> Array:
    """Each image moved by up to half a pixel in a random direction, by linear interpolation."""
    n = len(images)
    padded: Array = np.pad(images.reshape(n, SIDE, SIDE), ((0, 0), (1, 1), (1, 1)))
    down, right = rng.integers(0, 3, (2, n, 1, 1))  # 1 is where it was
    rows, columns = np.arange(SIDE)[:, None] + down, np.arange(SIDE) + right
    neighbour = padded[np.arange(n)[:, None, None], rows, columns].reshape(n, -1)
    amount = rng.random((n, 1), dtype=np.float32) * np.float32(SHIFT)
    moved: Array = images + amount * (neighbour - images)
    return moved


def batches(data: Data, size: int, rng: np.random.Generator) -> Iterator[tuple[Array, Labels]]:
    """Every view of the training data once, shuffled."""
    for _ in range(VIEWS):
        order = rng.permutation(len(data.images))
        images, labels = shifted(data.images[order], rng), data.labels[order]
        for start in range(0, len(order), size):
            yield images[start : start + size], labels[start : start + size]


def validate(network: Trainable, data: Data) -> tuple[float, float]:
    """Mean cross-entropy in nats, and accuracy, on the validation data."""
    scores = network.scores(data.validation_images)
    labels = data.validation_labels
    losses = -log_softmax(scores)[np.arange(len(labels)), labels]
    return float(losses.mean(dtype=np.float64)), float(np.mean(scores.argmax(axis=1) == labels))


def save(state: Sequence[Array], epoch: int) -> None:
    """Everything that training needs to go on as if nothing had happened."""
    with checkpoint(epoch, suffix=".npz") as path:
        np.savez(path, *state, epoch=np.array(epoch))


def restore(state: Sequence[Array], path: Path) -> int:
    """Loads what `save` has saved into the arrays; the number of epochs that were done."""
    with np.load(path) as arrays:
        for i, array in enumerate(state):
            array[:] = arrays[f"arr_{i}"]
        return int(arrays["epoch"])


def train(network: Trainable, batch_size: int, seed: int) -> None:
    """Trains up to the resource that the operator asks for."""
    data = load_data(Path(os.environ.get("DIGITS", "/app/digits.csv.gz")))
    done = 0
    if (saved := resume_from()) is not None:
        done = restore(network.state, saved)
        print(f"resumed from epoch {done} ({saved})", flush=True)
    target = int(resource_target(MAX_EPOCHS))
    for epoch in range(done + 1, target + 1):
        rng = np.random.default_rng([seed, epoch])
        with np.errstate(all="ignore"):  # a learning rate that is too high ends in NaN
            for images, labels in batches(data, batch_size, rng):
                network.step(images, labels, rng)
            loss, accuracy = validate(network, data)
        save(network.state, epoch)  # first: the pod may be ended as soon as the report is read
        print(f"epoch {epoch} val_loss {loss:.4f} accuracy {accuracy:.4f}", flush=True)
        report(epochs=epoch, val_loss=loss, accuracy=accuracy)


def main() -> None:
    """Trains the network that the trial's parameters describe."""
    config = Config(**parameters())
    train(Network(config), config.batch_size, config.seed)


if __name__ == "__main__":
    main()
