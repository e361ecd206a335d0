"""Sentences about the runs to make next: what they save, what they cost, what the plan may become, and when to stop."""

import numpy as np

from scalefit._quantities import said, write
from scalefit.loss_units import in_unit, short
from scalefit.planning import NextRuns
from scalefit.text.phrases import money
from scalefit.units import format_count, percent

FEW_LEFT = 0.5  # of the spend


def next_runs_paragraph(found: NextRuns, prob: float) -> str:
    """What to run, its price in money, what the plan may become, and what is never certain."""
    words = [found.headline(prob)]
    if not found.about_plan:
        return words[0]
    if not found.stop:
        words += [_price_sentence(found), _batch_sentence(found), _plan_sentence(found, prob)]
        words.append("Such runs save more than they cost on average; in a single case they may not.")
    return " ".join(filter(None, [*words, _resolution_sentence(found)]))


def _price_sentence(found: NextRuns) -> str:
    """How value and price are compared."""
    price = found.price_of(found.worthwhile or found.batch)
    unit, bill = found.cost.unit, ""
    if unit == "FLOP":
        bill = f" ({money(float(found.machines.money(price)))} at ${found.machines.price:g} an hour)"
    return f"Added to the budget instead, {said(price, unit)}{bill} would save {found.saves(found.per_cost * price)}."


def _batch_sentence(found: NextRuns) -> str:
    """The whole batch, where it is another than the runs that are worth their price."""
    batch, unit = found.batch, found.cost.unit
    if not batch.runs or sorted(batch.runs) == sorted(found.worthwhile.runs):
        return ""
    count = f"{len(batch.runs)} runs" if len(batch.runs) > 1 else "one run"
    priced = f"{count}, {said(found.price_of(batch), unit)}"
    return f"The batch of most value within {said(found.spend, unit)} ({priced}) saves {found.saves(batch.value)}."


def _plan_sentence(found: NextRuns, prob: float) -> str:
    """Where the plan may go."""
    tail = (1 - prob) / 2
    low, high = np.quantile(found.params_after, [tail, 1 - tail])
    return (
        f"After that batch the plan's N, today {found.certain_params}, lies between {format_count(low)} and "
        f"{format_count(high)} in {percent(prob)} of the outcomes."
    )


def _resolution_sentence(found: NextRuns) -> str:
    least = in_unit(write(found.resolution), short(found.assumptions.loss_unit))
    worth = said(float(found.in_budget(found.resolution)), found.cost.unit)
    return f"The draws resolve values above {least}, as much as {worth} more of budget would save."


def next_runs_caution(found: NextRuns) -> str:
    """Whether the values hold by reweighing the draws; empty where they do."""
    if found.check.agrees:
        return ""
    return (
        f"The values are {found.check.agreement:.2g} times those by reweighing the draws: a Gaussian step does not "
        "describe these outcomes. Rely on their order with care."
    )
