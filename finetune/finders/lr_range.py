"""The learning-rate finder: a range test on the real data with the run's own optimiser, groups and clipping, without its warm-up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from backbones.errors import UsageError
from finetune.build import build_task
from finetune.config import RunConfig
from finetune.console import console
from finetune.data.splits import DataSplits
from finetune.datamodule import DetectionDataModule
from finetune.finders.rate_rules import Verdict, has_seen_enough, judge
from finetune.finders.short_run import heaviest, process_count, run_steps
from finetune.finders.snapshot import left_as_it_was
from finetune.finders.sparkline import sparkline
from finetune.task import NonFiniteLossError

_START = {"sgd": 1e-4, "adamw": 1e-6}
_DECADES = 5
_STEPS_A_DECADE = 25
_ROWS_A_DECADE = 4  # of the table
_SAME = 2.5  # rates that differ by less are the same to a range test


@dataclass(frozen=True, eq=False)
class RangeTest:
    """A sweep and what it says.

    Args:
        rates: Rate of the new layers at every step; the other groups had theirs in the run's proportion.
        losses: Mean loss of the batches of the step, before it changed the weights.
        verdict: Smoothed losses and the suggestion.
        ended: "lost" (the loss climbed back), "not finite" or "all rates".
        config: Settings of the run.
        images: Images of one step.
    """

    rates: list[float]
    losses: list[float]
    verdict: Verdict
    ended: str
    config: RunConfig
    images: int

    def lines(self) -> list[str]:
        """A plot, a table and a sentence, for people."""
        every = max(1, _STEPS_A_DECADE // _ROWS_A_DECADE)
        smoothed = [float(value) for value in self.verdict.smoothed]
        ended = {"lost": "ended when the loss had climbed back", "not finite": "ended when the loss was not finite", "all rates": "all rates of the range"}[self.ended]
        lines = [
            f"learning rate: {len(self.rates)} steps of {self.images} images, rate from {self.rates[0]:g} to {self.rates[-1]:.2g}; {ended}",
            f"  loss {sparkline(smoothed, console().encoding)}",
            "    train.lr      loss   smoothed",
        ]
        marks = self._marks()
        for index in sorted({*range(0, len(self.rates), every), *marks}):
            lines.append(f"  {self.rates[index]:>10.2g}  {self.losses[index]:>8.3f}   {smoothed[index]:>8.3f}{marks.get(index, '')}")
        return [*lines, self._sentence()]

    def to_json(self) -> dict[str, Any]:
        """All points as JSON values."""
        verdict = self.verdict
        return {
            "suggestion": verdict.suggestion,
            "now": self.config.train.lr,
            "falls_fastest_at": verdict.fastest,
            "lowest_at": verdict.lowest,
            "rises_from": verdict.rises,
            "diverges_from": verdict.diverges,
            "dies_from": verdict.dies,
            "ended_by": self.ended,
            "images_per_step": self.images,
            "rates": self.rates,
            "losses": self.losses,
            "smoothed": [float(value) for value in verdict.smoothed],
        }

    def _marks(self) -> dict[int, str]:
        verdict = self.verdict
        found: dict[int, list[str]] = {}
        for text, rate in (
            ("falls fastest", verdict.fastest),
            ("lowest", verdict.lowest),
            ("rises from here", verdict.rises),
            ("diverges from here", verdict.diverges),
            ("dead from here", verdict.dies),
        ):
            if rate is not None:
                found.setdefault(self.rates.index(rate), []).append(text)
        return {index: f"   <- {', '.join(texts)}" for index, texts in found.items()}

    def _sentence(self) -> str:
        verdict, now = self.verdict, self.config.train.lr
        if verdict.fastest is None:
            return f"no suggestion: the loss does not fall clearly at any of these rates (noise of {self.images} images a step hides it, or nothing can be learnt); train.lr stays {now:g}"
        if verdict.suggestion is None:
            return f"no suggestion: the loss falls fastest at {verdict.fastest:.2g} and does not rise up to {self.rates[-1]:.2g}; train.lr stays {now:g}"
        limit = f"rises from {verdict.rises:.2g}" if verdict.rises else f"falls to nothing from {verdict.dies:.2g}, where the network finds nothing any more"
        diverges = f", diverges from {verdict.diverges:.2g}" if verdict.diverges else ""
        same = ", the same to such a test, which knows a rate to a factor of two or three" if max(now / verdict.suggestion, verdict.suggestion / now) <= _SAME else ""
        return f"suggested train.lr {verdict.suggestion:g}, a quarter of where the loss {limit} (it falls fastest at {verdict.fastest:.2g}{diverges}); now {now:g}{same}"


def find_rate(config: RunConfig, detector: Any, splits: DataSplits) -> RangeTest:
    """Train with a rate that rises from step to step, and say which one suits; the detector is left as it was.

    Args:
        config: Settings of the run.
        detector: As the run starts with it.
        splits: The data.
    """
    processes = process_count(config)
    train = replace(config.train, ema=0.0, accumulate=config.train.accumulate * processes)
    sweep_config = heaviest(replace(config, train=train))  # the rate has to suit the stages that thaw later, too
    start = _START[config.train.optimizer]
    rates = [start * 10 ** (step / _STEPS_A_DECADE) for step in range(_DECADES * _STEPS_A_DECADE + 1)]
    seen: list[float] = []
    ended = "all rates"

    def goes_on(losses: list[float]) -> bool:
        seen[:] = losses
        return not has_seen_enough(losses)

    with left_as_it_was(detector):
        data = DetectionDataModule(config.data, config.seed, splits)
        try:
            run_steps(sweep_config, build_task(sweep_config, detector), data.train_dataloader(), len(rates), lambda step: rates[step] / config.train.lr, goes_on)
            ended = "lost" if len(seen) < len(rates) else ended
        except NonFiniteLossError:
            ended = "not finite"
    if not seen:
        raise UsageError("the loss is not finite before anything was learnt: look at the data (finetune check) and at train.precision")
    done = rates[: len(seen)]
    return RangeTest(done, seen, judge(done, seen), ended, config, train.accumulate * config.data.batch_size)
