"""Can these draws be trusted? Numbers, a verdict and a sentence for each check.

Gates: R-hat at most 1.01 and bulk and tail ESS at least 400 (Vehtari et al. 2021, arXiv 1903.08008), no
divergences, E-BFMI at least 0.3 (Betancourt 2016, arXiv 1604.00695), no saturated trees; and what no sampler
can mend: a design that does not identify the law.
"""

from collections.abc import Iterable

import numpy as np

from scalefit.counting import tokens_for
from scalefit.diagnostics.checks import Check
from scalefit.model.model import BoundModel
from scalefit.units import format_count, format_flops


def _design(bound: BoundModel) -> Iterable[Check]:
    """A single ray of tokens per parameter, or less than a decade of an input, whatever the draws say."""
    for name in _counts(bound):
        values = bound.runs[name]
        decades = float(np.log10(values.max() / values.min()))
        sentence = f"{decades:.1f} decades of {name}"
        if decades < 1:
            ends = format_count(values.max() / 10), format_count(values.min() * 10)
            sentence += f": too narrow for an exponent; add a run with {name} below {ends[0]} or above {ends[1]}"
        yield Check(f"range of {name}", "ok" if decades >= 1 else "review", decades, sentence)
    if {"params", "tokens"} <= set(bound.model.law.inputs):
        yield _ray(bound)


def _counts(bound: BoundModel) -> list[str]:
    """The inputs that can span decades: numbers of experts or bits need not."""
    return [name for name in bound.model.law.inputs if name not in bound.model.law.pure]


def _ray(bound: BoundModel) -> Check:
    """How far the runs lie off the line ln D = c + s ln N that passes them best, as a factor (one sd)."""
    log_n, log_d = np.log(bound.runs.params), np.log(bound.runs.tokens)
    spread = np.linalg.svd(np.stack([log_n - log_n.mean(), log_d - log_d.mean()]), compute_uv=False)[-1]
    factor = float(np.exp(spread / np.sqrt(len(log_n))))
    if factor >= 1.3:
        return Check("one ray", "ok", factor, f"runs lie a factor {factor:.1f} off any single path of N against D")
    if np.corrcoef(log_n, log_d)[0, 1] < 0:
        flops = bound.runs.flops.mean()
        sentence = (
            f"all runs spend about the same compute ({format_flops(flops)} FLOP): the best size there can be seen, how "
            f"it grows cannot; add runs at other budgets, such as {format_flops(flops / 10)} FLOP"
        )
        return Check("one ray", "review", factor, sentence)
    n, d = np.exp(log_n.mean()), np.exp(log_d.mean())
    off = format_count(n * 3), format_count(tokens_for(6 * n * d, n * 3))
    sentence = (
        f"all runs lie on one path of tokens against parameters (about {d / n:.3g} tokens per parameter in the "
        f"middle), so alpha, beta and the allocation are not identified; add runs off it, such as "
        f"N {off[0]} with D {off[1]}, and the reverse"
    )
    return Check("one ray", "fail" if factor < 1.05 else "review", factor, sentence)


def _widen(bound: BoundModel) -> str:
    """Which run would teach most: a decade beyond the data in the input that spans the fewest decades."""
    spans = {name: np.log10(bound.runs[name].max() / bound.runs[name].min()) for name in _counts(bound)}
    if not spans:
        return "add runs"
    name = min(spans, key=spans.__getitem__)
    return f"add runs with {name} near {format_count(bound.runs[name].max() * 10)}, or more runs"
