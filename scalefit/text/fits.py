"""Sentences about fits: health, optima, and how far an answer lies beyond the data."""

import numpy as np

from scalefit.costs.cost import SixND
from scalefit.diagnostics.checks import Health
from scalefit.frontier.frontier import Frontier, is_extrapolation
from scalefit.model.discrepancy import Evidence
from scalefit.text.phrases import ratio
from scalefit.units import format_flops

FEW = 0.02  # of the draws
OF_DRAWS = (
    "engine", "time", "convergence of the search", "learning", "R-hat", "bulk ESS", "tail ESS", "Pareto k", "modes",
    "divergences", "E-BFMI", "tree depth",
)  # fmt: skip
LAW_ONLY_COVERAGE = (  # benchmarks/results/learn_discrepancy.json
    "On 27 public sweeps, nominal 90% intervals of the law alone contained 57% of the losses of larger runs."
)


def health_sentence(health: Health) -> str:
    """The verdict that is not ok and the reason for it, without the advice; empty where all is well.

    Of several the first that is about the table or the model: what the draws show is their effect.
    """
    if not health.doubts:
        return ""
    worst = [check for check in health.doubts if check.verdict == health.verdict]
    first = min(worst, key=lambda check: check.name in OF_DRAWS)
    advice = "Do not rely on this answer" if first.verdict == "fail" else "Rely on this answer with care"
    reason = first.sentence.split(". ")[0].rstrip(".")
    return f"The fit's health is {first.verdict}. {advice}. The check of {first.name} reports: {reason}."


def search_sentence(unconverged: float) -> str:
    """A caution where more than `FEW` of the draws have no optimum, for its search did not converge; else empty."""
    if unconverged <= FEW:
        return ""
    return f"The search for the optimum did not converge in {unconverged:.0%} of the draws. Rely on it with care."


def rule_sentence(front: Frontier) -> str:
    """How compute is counted, where that is not C = 6 N D."""
    return "" if front.rule == SixND().describe() else f"{front.rule}."


def caution(
    flops: float,
    compute_range: tuple[float, float],
    discrepancy: bool,
    evidence: Evidence | None = None,
    stacked: bool = False,
) -> str:
    """How far a budget lies beyond the data, and what its interval includes there; empty inside the data.

    evidence : how often such intervals held on studies, where that is known.
    """
    smallest, largest = compute_range
    if not is_extrapolation(flops, compute_range):
        return ""
    beyond = flops > largest
    factor, end = (ratio(flops / largest), "largest") if beyond else (f"1/{ratio(smallest / flops)}", "smallest")
    found = _stacked_sentence(discrepancy) if stacked else _coverage_found(discrepancy, evidence, flops / largest)
    return f"{format_flops(flops)} FLOP is {factor} times the compute of the {end} run: an extrapolation. {found}"


def _stacked_sentence(discrepancy: bool) -> str:
    each = "each law's discrepancy" if discrepancy else "no discrepancy"
    return f"The interval includes the uncertainty of the parameters and of the choice of law, and {each}."


def _coverage_found(discrepancy: bool, evidence: Evidence | None, factor: float) -> str:
    """What an interval includes, and how often such intervals held at that distance, or at the furthest tested."""
    included = "parameter uncertainty and the discrepancy" if discrepancy else "parameter uncertainty alone (law only)"
    lead = f"The interval includes {included}."
    if factor < 1:
        return f"{lead} No held-out sweep has tested predictions for smaller runs."
    if not discrepancy:
        return f"{lead} {LAW_ONLY_COVERAGE}"
    if evidence is None:
        return f"{lead} No held-out sweep has tested these scales of the discrepancy."
    index = min(int(np.searchsorted(evidence.times, factor)), len(evidence.times) - 1)
    further = f" No test reached {ratio(factor)} times the compute." if factor > 1.01 * evidence.times[-1] else ""
    return (
        f"{lead} In {evidence.studies} public sweeps of {evidence.families} families, nominal 90% intervals contained "
        f"{evidence.loss_90[index]:.0%} of the losses and {evidence.size_90[index]:.0%} of the best sizes of runs with "
        f"up to {ratio(evidence.times[index])} times the compute; of the worst family's losses, "
        f"{evidence.worst_90:.0%}.{further}"
    )


def fit_paragraph(front: Frontier, prob: float, evidence: Evidence | None = None) -> str:
    """The optimum at each budget, and a caution about the furthest one beyond the data."""
    words = [front.optimum_sentence(index, prob) for index in range(len(front.flops))]
    warned = caution(front.flops.max(), front.compute_range, front.discrepancy, evidence)
    words += filter(None, [rule_sentence(front), search_sentence(front.unconverged)])
    return " ".join([*words, warned or "Use --budgets for a larger budget. That answer is an extrapolation."])
