"""XGBoost in a study: the resource is the rounds of boosting.

    hyperband = HyperbandCallback(rounds=270)
    xgboost.train(
        params, train, hyperband.rounds, evals=[(valid, "valid")],
        xgb_model=hyperband.model, callbacks=[hyperband],
    )

Reports each metric of each set in `evals` as `SET-METRIC`: `valid-logloss`. Leave
`early_stopping_rounds` out: the study stops what is not worth going on with.
"""

import xgboost
from xgboost.callback import TrainingCallback

from hyperband.report._checkpoints import checkpoint
from hyperband.report._span import Span

__all__ = ["HyperbandCallback"]


class HyperbandCallback(TrainingCallback):
    """Reports each round, saves the model, and ends training where the operator says.

    Attributes:
        rounds: to train now, as `num_boost_round` or `n_estimators`.
        model: what to go on from, as `xgb_model`; None at the beginning.
    """

    def __init__(self, rounds: int, save_every: int = 10) -> None:
        """Looks for the trial's checkpoint.

        Args:
            rounds: that a run by hand trains.
            save_every: rounds from one checkpoint to the next; rungs have theirs in any case.
        """
        super().__init__()
        self._span = Span(rounds, "rounds", save_every)
        self.rounds = self._span.left
        path = self._span.resumed
        self.model = None if path is None else xgboost.Booster(model_file=path)

    def after_iteration(
        self, model: xgboost.Booster, epoch: int, evals_log: TrainingCallback.EvalsLog
    ) -> bool:
        """Called by XGBoost after each round."""
        done = model.num_boosted_rounds()  # with those of the checkpoint
        if xgboost.collective.get_rank() == 0:
            if self._span.saves(done):
                with checkpoint(done, suffix=".ubj") as path:
                    model.save_model(path)
            metrics = {
                f"{data}-{metric}": values[-1]
                for data, by_metric in evals_log.items()
                for metric, values in by_metric.items()
            }
            self._span.report(done, metrics)
        return self._span.ends(done)
