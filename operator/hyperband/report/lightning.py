"""PyTorch Lightning in a study: the resource is epochs.

    hyperband = HyperbandCallback(epochs=27)
    trainer = Trainer(
        max_epochs=hyperband.epochs, callbacks=[hyperband], enable_checkpointing=False
    )
    trainer.fit(model, train, valid, ckpt_path=hyperband.checkpoint)

Reports what modules log (`self.log("val_loss", …)`), after each epoch with a validation. In
distributed training the first process reports, and all save together.
"""

import sys
from contextlib import ExitStack
from typing import Any

if "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules:
    from pytorch_lightning import Callback  # the same under its older name
else:
    from lightning.pytorch import Callback

from hyperband.report._checkpoints import checkpoint
from hyperband.report._span import Span

__all__ = ["HyperbandCallback"]


class HyperbandCallback(Callback):
    """Reports each epoch, saves the trainer's state, and ends training at the target.

    Attributes:
        epochs: of a whole training, as `max_epochs`; this attempt ends at `target`.
        checkpoint: what to go on from, as `ckpt_path`; None at the beginning.
    """

    def __init__(self, epochs: int, save_every: int = 1) -> None:
        """Looks for the trial's checkpoint.

        Args:
            epochs: that a run by hand trains.
            save_every: epochs from one checkpoint to the next; rungs have theirs in any case.
        """
        self._span = Span(epochs, "epochs", save_every)
        self.epochs, self.target = self._span.total, self._span.target
        path = self._span.resumed
        self.checkpoint = None if path is None else str(path)
        self._stale = False

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Called by Lightning: what was measured before is of another epoch."""
        self._stale = bool(trainer.enable_validation)

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Called by Lightning."""
        self._stale = False

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Called by Lightning after the epoch's validation."""
        done = trainer.current_epoch + 1
        if self._span.saves(done):
            self._save(trainer, done)
        if trainer.is_global_zero and not self._stale:
            self._span.report(done, trainer.callback_metrics)
        if self._span.ends(done):
            trainer.should_stop = True

    def _save(self, trainer: Any, done: int) -> None:
        """All processes save, each its part, at the path that the first one has made."""
        with ExitStack() as stack:
            path = stack.enter_context(checkpoint(done)) if trainer.is_global_zero else None
            trainer.save_checkpoint(trainer.strategy.broadcast(path))
