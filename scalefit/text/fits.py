"""Results in plain words: every number with its interval, every extrapolation with its caution."""

import numpy as np

from scalefit._intervals import interval
from scalefit.diagnostics.checks import Health
from scalefit.frontier.frontier import Frontier, is_extrapolation
from scalefit.model.discrepancy import LEARNED_EVIDENCE, Evidence
from scalefit.text.phrases import ranged, ratio
from scalefit.units import format_count, format_flops, percent

COVERAGE_FOUND = (
    "the law's own error is not in it: on held-out public sweeps, nominal 90% intervals of this kind held about a "
    "third of the larger runs"
)


def health_sentence(health: Health) -> str:
    """The verdict that is not ok and the reason for it, without the advice; empty where all is well.

    Of several the last: checks of the table, which come after those of the draws, say what those suffer from.
    """
    if not health.doubts:
        return ""
    *_, worst = (check for check in health.doubts if check.verdict == health.verdict)
    rely = "do not rely on this answer" if worst.verdict == "fail" else "rely on this answer with care"
    return f"The fit's health is {worst.verdict}, so {rely}; {worst.name}: {worst.sentence.split(';')[0]}."


def caution(
    flops: float, compute_range: tuple[float, float], kind: str = "mean", card: Evidence | None = LEARNED_EVIDENCE
) -> str:
    """How far a budget lies beyond the data, and what an interval of `kind` is worth there; empty inside the data.

    card : of the scales of the law's error, where it is known.
    """
    smallest, largest = compute_range
    if not is_extrapolation(flops, compute_range):
        return ""
    times, end = (
        (ratio(flops / largest), "largest") if flops > largest else (f"1/{ratio(smallest / flops)}", "smallest")
    )
    return (
        f"{format_flops(flops)} FLOP is {times} times the compute of the {end} run: an extrapolation. "
        f"{_carried(kind, card, flops / largest)}."
    )


def _carried(kind: str, card: Evidence | None, times: float) -> str:
    """What an interval holds, and what intervals of its kind were worth at that distance, or the furthest known."""
    if times < 1 and not kind.startswith("stacked"):
        held = "parameter uncertainty only" if kind == "mean" else "the law's own error too"
        return f"Its interval carries {held}; no held-out sweep tested predictions to smaller runs"
    if kind == "mean":
        return f"Its interval carries parameter uncertainty only; {COVERAGE_FOUND}"
    if kind.startswith("stacked"):
        own = "and each law's own error" if kind == "stacked form" else "but no error that they share"
        return f"Its interval carries uncertainty over parameters and over the laws compared, {own}"
    if card is None:
        return "Its interval carries the law's own error too, on scales that no held-out sweep has tested here"
    index = min(int(np.searchsorted(card.times, times)), len(card.times) - 1)
    further = f"; {ratio(times)} times is further than any of them" if times > 1.01 * card.times[-1] else ""
    return (
        f"Its interval carries the law's own error too: in {card.studies} public sweeps, of runs with up to "
        f"{ratio(card.times[index])} times the compute, nominal 90% intervals of this kind held "
        f"{card.loss_90[index]:.0%} of the losses and {card.size_90[index]:.0%} of the best sizes{further}"
    )


def optimum_sentence(front: Frontier, index: int, prob: float) -> str:
    """The optimum at one budget of a frontier, with intervals."""
    n, d, per, loss = (
        interval(getattr(front, name)[:, index], prob) for name in ("params", "tokens", "tokens_per_param", "loss")
    )
    return (
        f"At {format_flops(front.flops[index])} FLOP the optimum is {ranged(n, format_count)} parameters on "
        f"{ranged(d, format_count)} tokens, {ranged(per, '{:.1f}'.format)} tokens per parameter, for a loss of "
        f"{ranged(loss, '{:.3f}'.format)} nats per token (median and {percent(prob)} interval)."
    )


def fit_paragraph(
    inside: Frontier, further: Frontier | None, prob: float, card: Evidence | None = LEARNED_EVIDENCE
) -> str:
    """The optimum at budgets inside the data, and at those beyond them, with what that is worth."""
    listed = lambda front: [optimum_sentence(front, index, prob) for index in range(len(front.flops))]
    if further is None:
        ending = ["Larger budgets are extrapolations: ask with --budget, and read its caution."]
    else:
        carried = "With the law's own error, which the table leaves out: " if further.kind == "form" else ""
        first, *others = listed(further)
        ending = [carried + first[0].lower() + first[1:] if carried else first, *others]
        ending.append(caution(further.flops.max(), further.compute_range, further.kind, card))
    return " ".join([*listed(inside), *ending])
