"""Hugging Face's Trainer in a study: the resource is epochs.

    hyperband = HyperbandCallback(epochs=27)
    arguments = TrainingArguments(
        "out", num_train_epochs=hyperband.epochs, save_total_limit=1, …
    )
    trainer = Trainer(model, arguments, …, callbacks=[hyperband])
    trainer.train(resume_from_checkpoint=hyperband.checkpoint)

Evaluates and saves at the end of each epoch, whatever `eval_strategy` and `save_strategy` say, and
reports what an evaluation gives: `eval_loss`, and what `compute_metrics` adds. In distributed
training the first process reports.
"""

import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hyperband.report._checkpoints import checkpoint
from hyperband.report._span import Span

__all__ = ["HyperbandCallback"]


class HyperbandCallback(TrainerCallback):
    """Reports each epoch, keeps the trainer's checkpoint, and ends training at the target.

    Attributes:
        epochs: of a whole training, as `num_train_epochs`; this attempt ends at `target`.
        checkpoint: what to go on from, as `resume_from_checkpoint`; None at the beginning.
    """

    def __init__(self, epochs: int) -> None:
        """Looks for the trial's checkpoint.

        Args:
            epochs: that a run by hand trains.
        """
        self._span = Span(epochs, "epochs", save_every=1)
        self.epochs, self.target = self._span.total, self._span.target
        path = self._span.resumed
        self.checkpoint = None if path is None else str(path)
        self._epoch_ended = False
        self._metrics: dict[str, float] = {}

    def on_epoch_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Called by the trainer before it does what `control` asks for."""
        control.should_evaluate = control.should_save = self._epoch_ended = True
        if self._span.ends(round(state.epoch)):
            control.should_training_stop = True

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float],
        **kwargs: Any,
    ) -> None:
        """Called by the trainer after an evaluation, and before it saves."""
        self._metrics = metrics

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Called by the trainer after it has saved."""
        if not (self._epoch_ended and state.is_world_process_zero):
            return
        self._epoch_ended = False
        done = round(state.epoch)
        with checkpoint(done, suffix="") as path:
            shutil.copytree(Path(args.output_dir) / f"checkpoint-{state.global_step}", path)
        self._span.report(done, self._metrics)
