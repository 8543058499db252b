"""Stops a test of the set-up as soon as it has passed, and says how it ended."""

from __future__ import annotations

import pytorch_lightning as pl

from finetune.callbacks.diagnosis import ZeroDiagnosis
from finetune.callbacks.evaluation import Evaluation
from finetune.callbacks.lookup import find_callback
from finetune.callbacks.table import MetricsTable
from finetune.config import RunConfig
from finetune.overfit import GOAL, best_figure, figure_name, verdict_lines
from finetune.run_log import RunLog


class OverfitGoal(pl.Callback):
    """Ends the run when the figure of the test has passed its goal.

    Args:
        config: Settings of the run.
        log: Where lines go.
    """

    def __init__(self, config: RunConfig, log: RunLog) -> None:
        self._config, self._log = config, log
        self.passed = False

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A run that was killed after it had passed does not train on."""
        trainer.should_stop = trainer.should_stop or self.passed

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the figure of the evaluation of this epoch."""
        evaluation = find_callback(trainer, Evaluation)
        result = None if evaluation is None else evaluation.results.get(self._config.evaluate.protocols[0])
        figure = None if result is None else result.values.get(figure_name(self._config))
        if figure is not None and figure > GOAL:
            self.passed = True
            trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The verdict."""
        table, diagnosis = find_callback(trainer, MetricsTable), find_callback(trainer, ZeroDiagnosis)
        if table is None or not trainer.is_global_zero:
            return
        best = best_figure(self._config, table.rows)
        causes = diagnosis.look(trainer, pl_module, len(table.rows)) if diagnosis is not None and not (best or 0.0) > GOAL else []
        self._log.say("", *verdict_lines(self._config, table.rows, causes))

    def state_dict(self) -> dict[str, bool]:
        """Whether it has passed travels with the checkpoint."""
        return {"passed": self.passed}

    def load_state_dict(self, state_dict: dict[str, bool]) -> None:
        """Continue."""
        self.passed = bool(state_dict["passed"])
