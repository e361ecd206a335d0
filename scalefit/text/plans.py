"""Sentences about decisions: what to do, what it costs, what being wrong costs, and the assumptions."""

from collections.abc import Sequence

import numpy as np

from scalefit._digits import rounded_like, rounded_mean, rounded_quantile
from scalefit._intervals import interval
from scalefit._quantities import said, write
from scalefit._results import PROB
from scalefit.counting.compute import SAME_COMPUTE
from scalefit.loss_units import in_unit, short, source_sentence
from scalefit.planning import Audit, LifetimePlan, Machines, Plan, RunComparison, Target
from scalefit.planning.assumptions import Assumptions
from scalefit.planning.target import Allocation
from scalefit.text.fits import caution, health_sentence, search_sentence
from scalefit.text.phrases import at_least_none, in_brackets, money, ranged, ratio
from scalefit.units import chance, format_count, format_flops, percent

TAIL = 0.95  # "one case of twenty"


def assumptions_sentence(assumptions: Assumptions, prob: float) -> str:
    """The conventions that every number of an answer shares."""
    drawn = {"posterior": "parameter uncertainty", "bootstrap": "resampling of the runs"}.get(assumptions.kind)
    included = f"{drawn} and the discrepancy" if assumptions.discrepancy else f"{drawn} alone (law only)"
    counted = (
        f"counts {assumptions.convention.replace('_', '-')} parameters" if assumptions.convention else "is counted as"
    )
    words = [
        f"N {counted} in {assumptions.table}; {assumptions.rule}.",
        source_sentence(assumptions.loss_unit, "that table"),
        f"Intervals are {percent(prob)}, equal-tailed, and include {included}."
        if drawn
        else "A point estimate has no interval.",
        f"{assumptions.wall[0].upper()}{assumptions.wall[1:]}." if assumptions.wall else "",
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
    one_run = interval(plan.draws["loss_one_run"], prob)
    spread = f" The loss of one run lies in {in_brackets(one_run)}." if np.isfinite(one_run[1]) else ""
    return f"{plan.headline(prob)}{spread} {_waste_sentence(plan)}"


def _waste_sentence(plan: Plan) -> str:
    """What not knowing costs, or what the constraints cost, and the sizes that are as good."""
    waste = plan.draws["wasted_compute"]
    tail = write(rounded_quantile(waste, TAIL), "share")
    what = "compute" if plan.cost.unit == "FLOP" else "money"
    average = write(rounded_mean(waste), "share")
    low, high = map(plan.certain, plan.near_optimal)
    if plan.constraints.any and plan.cost_of_constraints > 1e-4:
        lead = f"With {plan.constraints.describe()}, the plan wastes {average} of the {what} on average"
    else:
        lead = f"Uncertainty about the optimum wastes {average} of the {what} on average"
    near = f" Any N from {format_count(low)} to {format_count(high)} costs at most 1% of the {what} more."
    return f"{lead} and {tail} in one case of twenty.{near if high > 1.001 * low else ''}"


def deployment_sentence(plan: Plan) -> str:
    """The shape to build and what rounding to it costs; empty where no family was given."""
    built = plan.deployment
    if built is None:
        return ""
    shape = built.shape
    shared = f" ({shape.kv_heads} of keys and values)" if shape.kv_heads != shape.heads else ""
    experts = f", {shape.experts} experts of which {shape.active_experts} are visited" if shape.experts > 1 else ""
    what = "compute" if plan.cost.unit == "FLOP" else "money"
    loss = in_unit(f"{built.loss:+.1g}", short(plan.assumptions.loss_unit))
    return (
        f"As a {built.family} shape: {shape.layers} layers of width {shape.width:,}, {shape.heads} heads{shared}, MLP "
        f"{shape.mlp:,}{experts}, vocabulary {shape.vocabulary:,}: {built.params:,} parameters "
        f"({built.convention.replace('_', '-')}), on {format_count(built.tokens)} tokens. "
        f"Rounding costs {loss} and {built.waste:+.2%} of the {what}."
    )


def data_wall_sentence(plan: Plan) -> str:
    """What scarce unique tokens do; empty where they were not given."""
    wall, unit = plan.data_wall, short(plan.assumptions.loss_unit)
    if wall is None:
        return ""
    return (
        f"With {format_count(float(np.median(wall.unique_tokens)))} unique tokens the data wall binds with probability "
        f"{chance(wall.probability)} and costs {in_unit(f'{wall.penalty.mean():.4f}', unit)} on average. One percent "
        f"more unique tokens ({format_count(wall.one_percent)}) saves {in_unit(f'{wall.value:.2g}', unit)}."
    )


def target_paragraph(found: Target, prob: float) -> str:
    """What a loss costs, at even odds and with confidence."""
    return (
        f"{found.headline(prob)} At even odds, train {_allocation(found.even, found)}. "
        f"For {percent(found.confidence)} confidence, train {_allocation(found.sure, found)}. "
        f"Confidence multiplies the cost by {ratio(found.sure.cost / found.even.cost)}."
    )


def _allocation(run: Allocation, found: Target) -> str:
    sizes, budgets = (interval(found.draws[name], PROB) for name in ("N_opt", "budget"))
    params, tokens = (format_count(rounded_like(each, sizes)) for each in (run.params, run.tokens))
    return (
        f"{params} parameters on {tokens} tokens for {said(rounded_like(run.cost, budgets), found.cost.unit)} "
        f"(P(expected loss below target) {chance(run.chance)}, P(one run below target) {chance(run.chance_one_run)})"
    )


def lifetime_paragraph(life: LifetimePlan, prob: float) -> str:
    """The size for a whole life, against the one that is cheapest to train."""
    n, d = life.reference
    total, serving = float(life.draws["total"].mean()), float(life.draws["serving"].mean())
    missed = (
        f" In {1 - life.reachable:.1%} of the draws this size never reaches the quality, and the larger model is "
        "trained instead."
        if life.reachable < 1
        else ""
    )
    return (
        f"{life.headline(prob)} That is {ratio(life.params / n)} times the size and {ratio(life.tokens / d)} times the "
        f"tokens.{missed} Inference is {serving / total:.0%} of the total cost. Uncertainty about the optimum wastes "
        f"{write(rounded_mean(life.draws['wasted']), 'share')} of it."
    )


def audit_sentence(audit: Audit, index: int, prob: float) -> str:
    """One model against the optimum of its own budget."""
    model, draws = audit.models[index], {name: interval(values[:, index], prob) for name, values in audit.draws.items()}
    served, waste = draws["served"], draws["wasted_compute"]
    lost = in_unit(ranged(draws["given_up"], "{:.3g}".format), short(audit.assumptions.loss_unit))
    demand = (
        "The size is above the optimum, so no amount of inference justifies it"
        if served[0] < 0
        else f"The size is optimal for {ranged(served, at_least_none)} tokens of inference"
    )
    return (
        f"{model.name} has {format_count(model.params)} parameters, {format_count(model.tokens)} tokens "
        f"({model.tokens / model.params:,.1f} per parameter) and {format_flops(float(audit.flops[index]))} FLOP. "
        f"The optimum of that budget is {ranged(draws['N_opt'], format_count)} parameters on "
        f"{ranged(draws['D_opt'], format_count)} tokens. The model's tokens per parameter are "
        f"{ranged(draws['overtraining'], ratio)} times the optimum's. It loses "
        f"{lost} and wastes {ranged(waste, '{:.1%}'.format)} of its "
        f"training compute. {demand} ({percent(prob)} intervals)."
    )


def run_comparison_paragraph(found: RunComparison, prob: float) -> str:
    """Which is better, how sure that is, and what it is in compute."""
    speedup = interval(found.draws["speedup"], prob)
    if not found.draws["difference"].any():
        return found.headline(prob)
    factor, sure = speedup, found.chance_of_speedup
    if np.median(found.draws["difference"]) < 0:
        factor, sure = 1 / speedup[[0, 2, 1]], float(np.mean(found.draws["speedup"] < 1))
    return (
        f"{found.headline(prob)} That equals {ranged(factor, '{:.3g}'.format)} times the compute (more than 1 with "
        f"probability {chance(sure)})."
    )


def caution_about(runs: Sequence[tuple[float, float]], assumptions: Assumptions) -> str:
    """What to know before an answer about runs (params, tokens): bad health, and how far they lie beyond the data.

    That is in compute and in tokens per parameter. Empty where the fit is healthy and all are inside.
    """
    flops = max(float(assumptions.flops(params, tokens)) for params, tokens in runs)
    per = [tokens / params for params, tokens in runs]
    low, high = assumptions.ratio_range
    ends = ""
    if max(per) > SAME_COMPUTE * high:
        ends = f"{max(per):,.0f} tokens per parameter is {ratio(max(per) / high)} times the most of any run"
    elif min(per) < low / SAME_COMPUTE:
        ends = f"{min(per):.2g} tokens per parameter is 1/{ratio(low / min(per))} of the fewest of any run"
    far = caution(flops, assumptions.compute_range, assumptions.discrepancy, assumptions.evidence)
    lost = search_sentence(assumptions.unconverged)
    ratios = ends and f"{ends}: an extrapolation."
    return " ".join(filter(None, [health_sentence(assumptions.health), lost, far, ratios]))
