"""What a training script imports to talk to the study that runs it. Standard library only.

    from hyperband.report import checkpoint, parameters, report, resume_from

    config = parameters(learning_rate=0.01)      # the trial's; the defaults are for a run by hand
    for epoch in …:
        …
        with checkpoint(epoch) as path:          # before the report: a report may end the pod
            save(model, path)
        report(epochs=epoch, val_loss=loss)

The same script runs unchanged in a trial's pod, where reports become an annotation of the pod, and
on a laptop, where they are appended to a file. Needs Python 3.10 or later.
"""

from hyperband.report._checkpoints import checkpoint, checkpoint_dir, resume_from
from hyperband.report._environment import parameters, resource_from, resource_target
from hyperband.report._reporter import flush, report

__all__ = [
    "checkpoint",
    "checkpoint_dir",
    "flush",
    "parameters",
    "report",
    "resource_from",
    "resource_target",
    "resume_from",
]
