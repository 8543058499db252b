"""How the learning rate of a candidate is chosen: one for all, or the best of the same short trainings for each."""

from __future__ import annotations

from collections.abc import Sequence

from backbones.errors import UsageError
from finetune.compare.options import CompareConfig
from finetune.compare.types import RateProtocol, RateTrial

_FACTORS = (1 / 3, 1.0, 3.0)
_SHARE = 4  # a trial is a quarter of a run
_LEAST_EPOCHS = 2


def plan_rates(settings: CompareConfig, lr: float) -> RateProtocol:
    """The protocol that the settings ask for; how long a trial is, is known with the epochs of the runs.

    Raises:
        UsageError: Rates without a sweep, or fewer than two.
    """
    if settings.lr_protocol == "fixed":
        if settings.rates:
            raise UsageError("--rates are those of a sweep: add --lr-protocol sweep, or give the one rate with --train.lr")
        return RateProtocol("fixed", (lr,), sentences=(f"Every candidate is trained at the same rate, {lr:g}; one that wants another is ranked too low.",))
    rates = tuple(sorted(set(settings.rates))) or tuple(float(f"{lr * factor:.3g}") for factor in _FACTORS)
    if len(rates) < 2:
        raise UsageError("--rates holds one rate, and a sweep compares at least two: add some, or take --lr-protocol fixed with --train.lr")
    return RateProtocol("sweep", rates)


def trial_epochs(epochs: int) -> int:
    """Epochs of a trial where the shortest run has so many."""
    return max(_LEAST_EPOCHS, round(epochs / _SHARE))


def sweep_sentence(rates: Sequence[float], epochs: int) -> str:
    """The protocol in words."""
    shown = ", ".join(f"{rate:g}" for rate in rates)
    return f"Each candidate was trained for {epochs} epochs at each of the rates {shown} with the first seed, and took the rate with the best figure on val; test was not looked at."


def best_rate(trials: Sequence[RateTrial]) -> float | None:
    """The rate of the best figure; among equal ones that with the smaller loss, then the smaller rate. None where all failed."""
    whole = [trial for trial in trials if trial.failure is None]
    if not whole:
        return None

    def worth(trial: RateTrial) -> tuple[float, float, float]:
        return (trial.figure or 0.0, -(trial.loss if trial.loss is not None else float("inf")), -trial.lr)

    return max(whole, key=worth).lr
