"""Does the table identify the law? What no sampler can mend: inputs that hardly vary, or vary together."""

from collections.abc import Iterable

import numpy as np

from scalefit.counting import tokens_for
from scalefit.diagnostics.checks import Check
from scalefit.model.checking import is_repeated
from scalefit.model.model import BoundModel
from scalefit.units import format_count, format_flops

LEAST_DECADES = 1.0
LEAST_FACTOR, FAIL_FACTOR = 1.3, 1.05  # how far runs lie off one path, as a factor (one standard deviation)


def check_design(bound: BoundModel) -> Iterable[Check]:
    """Check the design of a table, whatever the draws are.

    Parameters
    ----------
    bound
        The model bound to the table.

    Yields
    ------
    Check
        "range of ..." for each input of less or more than a decade; "one ray" for params and tokens on one path.
    """
    for name in _counts(bound):
        values = bound.runs[name]
        decades = float(np.log10(values.max() / values.min()))
        sentence = f"the runs span {decades:.1f} decades of {name}"
        if decades >= LEAST_DECADES:
            yield Check(f"range of {name}", "ok", decades, f"{sentence}.")
        elif is_repeated(bound.model.law, name, bound.runs):
            yield Check(f"range of {name}", "ok", decades, f"{sentence}, and each value has several runs.")
        else:
            sentence += (
                f", too narrow for an exponent. Add a run with {name} below {format_count(values.max() / 10)} "
                f"or above {format_count(values.min() * 10)}."
            )
            yield Check(f"range of {name}", "review", decades, sentence)
    if {"params", "tokens"} <= set(bound.model.law.inputs):
        yield check_ray(bound)


def _counts(bound: BoundModel) -> list[str]:
    """The inputs that can span decades: numbers of experts or bits need not."""
    return [name for name in bound.model.law.inputs if name not in bound.model.law.pure]


def check_ray(bound: BoundModel) -> Check:
    """Check how far the runs lie off the path ln D = c + s ln N that passes them best.

    Parameters
    ----------
    bound
        The model bound to the table.

    Returns
    -------
    Check
        "one ray", whose value is the distance as a factor (one standard deviation).
    """
    log_n, log_d = np.log(bound.runs.params), np.log(bound.runs.tokens)
    spread = np.linalg.svd(np.stack([log_n - log_n.mean(), log_d - log_d.mean()]), compute_uv=False)[-1]
    factor = float(np.exp(spread / np.sqrt(len(log_n))))
    if factor >= LEAST_FACTOR:
        return Check("one ray", "ok", factor, f"the runs lie a factor {factor:.1f} off any single path of N against D.")
    if np.corrcoef(log_n, log_d)[0, 1] < 0:
        flops = bound.runs.flops.mean()
        sentence = (
            f"all runs spend about {format_flops(flops)} FLOP, so that the growth of the best size with compute is not "
            f"identified. Add runs at other budgets, such as {format_flops(flops / 10)} FLOP."
        )
        return Check("one ray", "review", factor, sentence)
    n, d = np.exp(log_n.mean()), np.exp(log_d.mean())
    sentence = (
        f"all runs lie on one path of tokens against parameters (about {d / n:.3g} tokens per parameter in the "
        f"middle), so that alpha, beta and the allocation are not identified. Add runs off it, such as "
        f"N {format_count(n * 3)} with D {format_count(tokens_for(6 * n * d, n * 3))}, and the reverse; "
        "`scalefit next` ranks them."
    )
    return Check("one ray", "fail" if factor < FAIL_FACTOR else "review", factor, sentence)


def runs_to_add(bound: BoundModel) -> str:
    """Which runs would narrow the posterior most: a decade beyond the data in the narrowest input.

    Parameters
    ----------
    bound
        The model bound to its table.

    Returns
    -------
    str
        An imperative sentence.
    """
    spans = {name: np.log10(bound.runs[name].max() / bound.runs[name].min()) for name in _counts(bound)}
    if not spans:
        return "Add runs."
    name = min(spans, key=spans.__getitem__)
    return (
        f"Add runs with {name} near {format_count(bound.runs[name].max() * 10)}, or more runs; `scalefit next` ranks "
        "them for a budget."
    )
