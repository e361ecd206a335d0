"""Decisions in plain words: what to do, what it costs, what being wrong costs, and on what all that rests."""

from collections.abc import Sequence

import numpy as np

from scalefit._intervals import interval
from scalefit.costs.cost import Cost
from scalefit.counting import flops_6nd
from scalefit.planning import Audit, LifetimePlan, Machines, Plan, RunComparison, Target
from scalefit.planning.assumptions import Assumptions
from scalefit.planning.target import Allocation
from scalefit.text.fits import caution, health_sentence
from scalefit.text.phrases import _ends, at_least_none, in_unit, money, ranged, ratio
from scalefit.units import chance, format_count, format_flops, percent

TAIL = 0.95  # "one case of twenty"


def assumptions_sentence(basis: Assumptions, prob: float) -> str:
    """The conventions that every number of an answer shares."""
    drawn = {"posterior": "parameter uncertainty", "bootstrap": "resampling of the runs"}.get(basis.kind)
    included = f"{drawn} and the discrepancy" if basis.discrepancy else f"{drawn} alone (law only)"
    counted = f"counts {basis.convention.replace('_', '-')} parameters" if basis.convention else "is counted as"
    words = [
        f"N {counted} in {basis.table}; {basis.rule}.",
        "Loss is in nats per token of that table's data and tokenizer.",
        f"Intervals are {percent(prob)}, equal-tailed, and include {included}."
        if drawn
        else "A point estimate has no interval.",
        f"{basis.wall[0].upper()}{basis.wall[1:]}." if basis.wall else "",
    ]
    return " ".join(filter(None, words))


def bill_sentence(machines: Machines, flops: float) -> str:
    """Training compute in the units people pay in."""
    days = float(machines.days(flops))
    return (
        f"Training takes {format_flops(flops)} FLOP: {format_count(float(machines.hours(flops)))} "
        f"{machines.accelerator.name}-hours at {100 * machines.mfu:g}% MFU, {days:,.{0 if days >= 10 else 1}f} days on "
        f"{machines.count:,.0f} of them, {money(float(machines.money(flops)))} at ${machines.price:g} an hour."
    )


def plan_paragraph(plan: Plan, prob: float) -> str:
    """What to train, what to expect, and what being wrong costs."""
    loss, one_run = (interval(plan.draws[name], prob) for name in ("loss", "loss_one_run"))
    law, run = (f"in [{ends[1]:.3f}, {ends[2]:.3f}]" for ends in (loss, one_run))
    expected = f": the law lies {law}, one run {run} ({percent(prob)})" if np.isfinite(loss[1]) else ""
    return (
        f"Train {format_count(plan.params)} parameters on {format_count(plan.tokens)} tokens "
        f"({plan.tokens_per_param:.1f} tokens per parameter). "
        f"Expect a loss of {plan.loss:.3f} nats per token{expected}. {_price_sentence(plan)}"
    )


def _price_sentence(plan: Plan) -> str:
    """What not knowing costs, or what the limits cost, and the sizes that are as good."""
    waste, tail = plan.draws["wasted_compute"], float(np.quantile(plan.draws["wasted_compute"], TAIL))
    what = "compute" if plan.cost.unit == "FLOP" else "money"
    low, high = plan.near_optimal
    if plan.constraints.any and plan.cost_of_constraints > 1e-4:
        lead = f"Held to {plan.constraints.describe()}, it wastes {waste.mean():.1%} of the {what} on average"
    else:
        lead = f"Not knowing the optimum wastes {waste.mean():.2%} of the {what} on average"
    near = f" Any N from {format_count(low)} to {format_count(high)} costs at most 1% of {what} more."
    return f"{lead}, {tail:.1%} in one case of twenty.{near if high > 1.001 * low else ''}"


def deployment_sentence(plan: Plan) -> str:
    """The shape to build and what rounding to it costs; empty where no family was given."""
    built = plan.deployment
    if built is None:
        return ""
    shape = built.shape
    shared = f" ({shape.kv_heads} of keys and values)" if shape.kv_heads != shape.heads else ""
    experts = f", {shape.experts} experts of which {shape.active_experts} are visited" if shape.experts > 1 else ""
    what = "compute" if plan.cost.unit == "FLOP" else "money"
    return (
        f"As a {built.family} shape: {shape.layers} layers of width {shape.width:,}, {shape.heads} heads{shared}, MLP "
        f"{shape.mlp:,}{experts}, vocabulary {shape.vocabulary:,}: {built.params:,} parameters "
        f"({built.convention.replace('_', '-')}), on {format_count(built.tokens)} tokens. "
        f"Rounding costs {built.loss:+.1g} nats and {built.waste:+.2%} of the {what}."
    )


def data_wall_sentence(plan: Plan) -> str:
    """What scarce unique tokens do; empty where they were not given."""
    wall = plan.data_wall
    if wall is None:
        return ""
    return (
        f"With {format_count(float(np.median(wall.unique_tokens)))} unique tokens the data wall binds with probability "
        f"{chance(wall.probability)} and costs {wall.penalty.mean():.4f} nats on average; one percent more of them "
        f"({format_count(wall.one_percent)}) would save {wall.value:.2g} nats."
    )


def target_paragraph(found: Target, prob: float) -> str:
    """What a loss costs, at even odds and with confidence."""
    budget = interval(found.draws["budget"], prob)
    known = ranged(budget, lambda value: format_flops(value) if np.isfinite(value) else "out of reach")
    return (
        f"A loss of {found.loss:g} takes {known} {found.cost.unit} were the law known ({percent(prob)}). "
        f"At even odds: {_allocation(found.even, found.cost)}. "
        f"To be {percent(found.confidence)} sure: {_allocation(found.sure, found.cost)}, "
        f"{ratio(found.sure.cost / found.even.cost)} times as much."
    )


def _allocation(run: Allocation, cost: Cost) -> str:
    return (
        f"{format_count(run.params)} parameters on {format_count(run.tokens)} tokens, {in_unit(run.cost, cost)} "
        f"(the law reaches it with probability {chance(run.chance)}, one run with {chance(run.chance_one_run)})"
    )


def lifetime_paragraph(life: LifetimePlan, prob: float) -> str:
    """The size for a whole life, against the one that is cheapest to train."""
    n, d = life.reference
    tokens, saved = (interval(life.draws[name], prob) for name in ("tokens", "saved"))
    total, serving = (float(life.draws[name].mean()) for name in ("total", "serving"))
    return (
        f"Train {format_count(life.params)} parameters until the quality is reached, after "
        f"{ranged(tokens, format_count)} tokens ({percent(prob)}): the same as {format_count(n)} parameters on "
        f"{format_count(d)}, at {ratio(life.params / n)} times the size and {ratio(life.tokens / d)} times the tokens. "
        f"The total is {in_unit(total, life.cost)}, {serving / total:.0%} of it inference, and saves "
        f"{life.draws['saved'].mean():.1%} {_ends(saved)} of the larger model's. Not knowing wastes "
        f"{life.draws['wasted'].mean():.1%} of the total."
    )


def audit_sentence(audit: Audit, index: int, prob: float) -> str:
    """One model against the optimum of its own budget."""
    model, draws = audit.models[index], {name: interval(values[:, index], prob) for name, values in audit.draws.items()}
    per = model.tokens / model.params
    served, waste = draws["served"], draws["wasted_compute"]
    demand = (
        "No inference would justify the size: it is larger than the optimum"
        if served[0] < 0
        else f"The size would be right for {ranged(served, at_least_none)} tokens of inference"
    )
    return (
        f"{model.name}: {format_count(model.params)} parameters, {format_count(model.tokens)} tokens, {per:,.1f} per "
        f"parameter, {format_flops(float(audit.flops[index]))} FLOP. The optimum of that budget is "
        f"{ranged(draws['N_opt'], format_count)} parameters on {ranged(draws['D_opt'], format_count)} tokens; the "
        f"model's tokens per parameter are {ranged(draws['overtraining'], ratio)} times the optimum's. It gives up "
        f"{ranged(draws['given_up'], '{:.4f}'.format)} nats and wastes {waste[0]:.1%} {_ends(waste)} of its training "
        f"compute. {demand} ({percent(prob)})."
    )


def run_comparison_paragraph(found: RunComparison, prob: float) -> str:
    """Which is better, how sure that is, and what it is worth in compute."""
    if not found.draws["difference"].any():
        return f"{found.a.name} and {found.b.name} are equal: the law gives both the same loss in every draw."
    difference, speedup = (interval(found.draws[name], prob) for name in ("difference", "speedup"))
    better, worse, sign = (found.b.name, found.a.name, 1) if difference[0] >= 0 else (found.a.name, found.b.name, -1)
    by_law, one_run = (p if sign > 0 else 1 - p for p in (found.chance, found.chance_one_run))
    gain, worth = difference, speedup
    if sign < 0:
        gain, worth = -difference[[0, 2, 1]], 1 / speedup[[0, 2, 1]]
    sure = found.chance_of_speedup if sign > 0 else float(np.mean(found.draws["speedup"] < 1))
    return (
        f"{better} beats {worse} with probability {chance(by_law)} by the law, {chance(one_run)} as one observed run "
        f"each. Its loss is {ranged(gain, '{:.3f}'.format)} nats lower ({percent(prob)}), worth "
        f"{ranged(worth, '{:.3g}'.format)} times the compute (more than 1 with probability {chance(sure)})."
    )


def caution_about(runs: Sequence[tuple[float, float]], basis: Assumptions) -> str:
    """What to know before an answer about runs (params, tokens): bad health, and how far they lie beyond the data.

    That is in compute and in tokens per parameter. Empty where the fit is healthy and all are inside.
    """
    flops = max(flops_6nd(params, tokens) for params, tokens in runs)
    per = [tokens / params for params, tokens in runs]
    low, high = basis.ratio_range
    ends = ""
    if max(per) > 1.005 * high:
        ends = f"{max(per):,.0f} tokens per parameter is {ratio(max(per) / high)} times the most of any run"
    elif min(per) < low / 1.005:
        ends = f"{min(per):.2g} tokens per parameter is 1/{ratio(low / min(per))} of the fewest of any run"
    far = caution(flops, basis.compute_range, basis.discrepancy, basis.evidence)
    return " ".join(filter(None, [health_sentence(basis.health), far, ends and f"{ends}: an extrapolation."]))
