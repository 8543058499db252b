"""The answer in words: which candidate to take, which under the user's limit, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from finetune.report.certainty import Certainty
from finetune.report.correlation import Correlation
from finetune.report.entries import Entry
from finetune.report.limits import Limits
from finetune.report.shown_text import say_share

_LIKELY = 0.8  # share of the draws from which a lead within noise is likely
_NAMED = 4  # candidates named in one sentence
_NEAR, _NEAR_SHARE = 0.01, 0.05  # closer than that, and than this share of the figure, is near
_CHEAPER = 0.8  # share of a cost from which a cheaper candidate is worth a sentence


@dataclass(frozen=True)
class Answer:
    """What the page says first. ``best`` and ``limited`` are names of candidates, None where there is none; sentences are plain text."""

    best: str | None
    headline: str
    limited: str | None
    limit_sentence: str
    certainty: tuple[str, ...]


_OWN = "These runs were added with settings of their own: the order tells which run is better, and which backbone only as far as their settings are alike (see the notes below)."


def find_answer(entries: Sequence[Entry], certainty: Certainty | None, limits: Limits, primary: str, split: str, own_settings: bool = False) -> Answer:
    """Answer from the entries that have scores; ``certainty`` has their columns in the same order, ``own_settings`` says that runs were not made alike."""
    scored = [entry for entry in entries if entry.scores]
    if not scored or certainty is None:
        return Answer(None, "No candidate has a score yet, so there is nothing to recommend.", None, "", ())
    rows = range(len(scored))
    best = max(rows, key=lambda row: certainty.means[row])
    if certainty.means[best] <= 0:
        return Answer(None, f"No candidate has learnt anything yet: {primary} is 0 on {split} for all. Give them a larger --budget, or see whether one can: finetune train --overfit 8.", None, "", ())
    limited, sentence = _under_limit(scored, certainty, limits, primary)
    if len(scored) == 1:
        headline = f"Only {scored[0].name} has a score: {_figure(scored[0], primary)} on {split}. There is nothing to compare it with yet."
        return Answer(scored[0].name, headline, limited, sentence, ())
    headline = f"For best accuracy take {scored[best].name}: {_figure(scored[best], primary)} on {split}."
    return Answer(scored[best].name, headline, limited, sentence, (*_how_sure(scored, certainty, best, list(rows), primary), *([_OWN] if own_settings else [])))


def _figure(entry: Entry, primary: str) -> str:
    spread = f" \u00b1 {entry.spread:.3f} over {len(entry.scores)} seeds" if entry.spread is not None else " with one seed"
    return f"{primary} {entry.mean:.3f}{spread}"


def _how_sure(scored: Sequence[Entry], certainty: Certainty, best: int, among: list[int], primary: str) -> list[str]:
    """Sentences about the lead of the best of some. One rule decides: a lead is sure where no other candidate is within noise."""
    if not certainty.known:
        return ["How sure that is cannot be told: there is one seed each, and no saved detections."]
    noise = sorted(certainty.within_noise(best, among), key=lambda row: -certainty.means[row])
    share = certainty.first_share(best, among)
    level = "sure" if not noise else "likely, but not sure" if share >= _LIKELY else "not settled"
    that = "That is" if certainty.from_seeds else "As far as pictures go, that is"
    sentences = [f"{that} {level}: with {certainty.sources} drawn anew, {scored[best].name} comes first in {say_share(share)} of the draws."]
    if not certainty.from_seeds:
        sentences.append("Each candidate has one seed only: what another seed would change is not in this share, so it is too high.")
    if noise:
        shown = ", ".join(f"{scored[row].name} ({scored[row].mean:.3f})" for row in noise[:_NAMED]) + (f" and {len(noise) - _NAMED} more" if len(noise) > _NAMED else "")
        sentences.append(f"The lead over {shown} may be chance.")
        return [*sentences, *_cheaper(scored, best, noise)]
    second = max((row for row in among if row != best), key=lambda row: certainty.means[row])
    low, high = certainty.difference(best, second)
    sentences.append(f"The next one, {scored[second].name}, is {certainty.means[best] - certainty.means[second]:.3f} {primary} behind (95%: {low:.3f} to {high:.3f}).")
    return sentences


def _cheaper(scored: Sequence[Entry], best: int, noise: Sequence[int]) -> list[str]:
    """The cheapest candidate that cannot be told from the best one."""
    for key, unit, scale in (("latency", " ms", 1.0), ("params", "M parameters", 1e6)):
        cost = scored[best].costs[key]
        known = [(value, row) for row in noise if (value := scored[row].costs[key]) is not None]
        if cost is None or not known:
            continue
        least, row = min(known)
        if least < _CHEAPER * cost:
            behind = (scored[best].mean or 0.0) - (scored[row].mean or 0.0)
            near = behind < min(_NEAR, _NEAR_SHARE * (scored[best].mean or 0.0))
            advice = "the better choice unless the last bit of accuracy counts" if near else f"whether the {behind:.3f} that it is behind is real, more seeds or pictures would tell"
            return [f"Of these, {scored[row].name} needs {least / scale:.3g}{unit} instead of {cost / scale:.3g}: {advice}."]
    return []


def _under_limit(scored: Sequence[Entry], certainty: Certainty, limits: Limits, primary: str) -> tuple[str | None, str]:
    if not limits.words:
        return None, ""
    asked = [(key, most) for key, most in (("latency", limits.latency_ms), ("params", limits.params)) if most is not None]
    unknown = [entry.name for entry in scored if any(entry.costs[key] is None for key, _ in asked)]
    rows = [row for row, entry in enumerate(scored) if all((cost := entry.costs[key]) is not None and cost <= most for key, most in asked)]
    missing = f" Not measured, so left out: {', '.join(unknown)}." if unknown else ""
    if not rows:
        return None, f"Under {limits.words}: no candidate keeps the limit{_nearest(scored, asked)}.{missing}"
    best = max(rows, key=lambda row: certainty.means[row])
    entry = scored[best]
    costs = ", ".join(_cost(entry, key) for key, _ in asked)
    sentence = f"Under {limits.words} take {entry.name}: {_figure(entry, primary)}, {costs}."
    p95 = entry.costs["p95"]
    if limits.latency_ms is not None and p95 is not None and p95 > limits.latency_ms:
        sentence += f" Its slowest twentieth ({p95:.3g} ms and more) is over the limit."
    if len(rows) > 1 and certainty.known:
        noise = certainty.within_noise(best, rows)
        sentence += f" Among the {len(rows)} that keep it, it comes first in {say_share(certainty.first_share(best, rows))} of the draws"
        sentence += f"; its lead over {', '.join(scored[row].name for row in noise[:_NAMED])} may be chance." if noise else ": that is sure."
    elif len(rows) == 1:
        sentence += " It is the only one that keeps it."
    return entry.name, sentence + missing


def _cost(entry: Entry, key: str) -> str:
    value = entry.costs[key] or 0.0
    return f"{value:.3g} ms" if key == "latency" else f"{value / 1e6:.3g}M parameters"


def _nearest(scored: Sequence[Entry], asked: Sequence[tuple[str, float]]) -> str:
    """The candidate that exceeds the limits least."""
    over = [(max((entry.costs[key] or 0.0) / most for key, most in asked), entry) for entry in scored if all(entry.costs[key] is not None for key, _ in asked)]
    if not over:
        return ""
    nearest = min(over, key=lambda pair: pair[0])[1]
    return f"; nearest is {nearest.name} with {', '.join(_cost(nearest, key) for key, _ in asked)}"


def say_correlation(found: Correlation, one: str, two: str) -> str:
    """What a rank correlation of so few candidates allows to say, in plain words."""
    if found.spearman is None or found.low is None or found.high is None:
        many = {0: "no candidate has", 1: "only 1 candidate has", 2: "only 2 candidates have"}.get(found.pairs)
        why = f"{many} both figures, 3 are needed" if many else "one of the two is the same for all"
        return f"{one} against {two}: no rank correlation, because {why}."
    figure = f"{one} against {two}: rank correlation {found.spearman:+.2f} (95%: {found.low:+.2f} to {found.high:+.2f}; Kendall {found.kendall:+.2f}) over {found.pairs} candidates."
    if found.needed is None:
        return f"{figure} With {found.pairs} candidates even a perfect order arises by chance too often: this says nothing about other backbones."
    if found.chance is not None and found.chance > 0.05:
        beyond = "a perfect order" if found.needed > 0.999 else f"\u00b1{found.needed:.2f} or further"
        return f"{figure} With {found.pairs} candidates only {beyond} would be rare by chance (under 5 in 100): neither a relation nor its absence is shown here."
    direction = "go together" if found.spearman > 0 else "run against each other"
    width = "; how closely is left open by the wide interval" if found.high - found.low > 0.5 else ""
    width = "; the interval of a perfect order is too narrow with so few, other candidates may well break it" if found.low == found.high else width
    return f"{figure} Chance alone would give this in {found.chance:.1%} of cases: among these candidates the two {direction}{width}."
