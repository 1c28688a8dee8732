"""Keras in a study: the resource is epochs.

    hyperband = HyperbandCallback(epochs=27)
    model = hyperband.model_of(build)  # build() makes and compiles it; a checkpoint goes on
    model.fit(
        x, y, validation_data=(x_valid, y_valid), callbacks=[hyperband],
        epochs=hyperband.epochs, initial_epoch=hyperband.initial_epoch,
    )

Reports what Keras logs: `loss`, `val_loss`, and the metrics that the model is compiled with.
"""

from collections.abc import Callable
from typing import Any

import keras

from hyperband.report._checkpoints import checkpoint
from hyperband.report._span import Span

__all__ = ["HyperbandCallback"]


class HyperbandCallback(keras.callbacks.Callback):
    """Reports each epoch, saves the model with its optimizer, and ends training at the target.

    Where several processes train one model, pass it to the first alone; each of the others needs
    `epochs=hyperband.target`.

    Attributes:
        epochs: of a whole training; this attempt ends at `target`.
        initial_epoch: epochs that are in the checkpoint.
    """

    def __init__(self, epochs: int, save_every: int = 1) -> None:
        """Looks for the trial's checkpoint.

        Args:
            epochs: that a run by hand trains.
            save_every: epochs from one checkpoint to the next; rungs have theirs in any case.
        """
        super().__init__()
        self._span = Span(epochs, "epochs", save_every)
        self.epochs, self.target = self._span.total, self._span.target
        self.initial_epoch = self._span.done

    def model_of(self, build: Callable[[], Any]) -> Any:
        """The checkpoint's model, compiled as it was; without one, what `build` makes.

        Layers, losses and the like of your own need `@keras.saving.register_keras_serializable()`.
        """
        path = self._span.resumed
        return build() if path is None else keras.models.load_model(path)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras."""
        done = epoch + 1
        if self._span.saves(done):
            with checkpoint(done, suffix=".keras") as path:
                self.model.save(path)
        self._span.report(done, logs or {})
        if self._span.ends(done):
            self.model.stop_training = True
