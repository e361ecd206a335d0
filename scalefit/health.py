"""Can these draws be trusted? Numbers, a verdict and a sentence for each check.

Gates: R-hat at most 1.01 and bulk and tail ESS at least 400 (Vehtari et al. 2021, arXiv 1903.08008), no
divergences, E-BFMI at least 0.3 (Betancourt 2016, arXiv 1604.00695), no saturated trees; and what no sampler
can mend: a design that does not identify the law.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import jax
import numpy as np

from scalefit._numerics import precision
from scalefit._programs import program
from scalefit.convergence import convergence, superchains
from scalefit.counting import share_6nd
from scalefit.model import BoundModel, Model, Theta
from scalefit.units import format_count, format_flops

Verdict = Literal["ok", "review", "fail"]
Draws = dict[str, np.ndarray]
PARETO_K = 0.7  # above this, importance weights are not to be trusted (Vehtari et al. 2024)
LEAST_NU = 1.0
FAR_OFF = 3.0  # deviations
SEVERITY: dict[Verdict, int] = {"ok": 0, "review": 1, "fail": 2}


@dataclass(frozen=True)
class Check:
    """One check: what was looked at, its number, its verdict, and a sentence for the reader."""

    name: str
    verdict: Verdict
    value: float
    sentence: str


@dataclass(frozen=True)
class Health:
    """All checks of a fit; the verdict is that of the worst."""

    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """ "ok", "review" (usable with the cautions given) or "fail" (do not use)."""
        return max((check.verdict for check in self.checks), key=SEVERITY.__getitem__, default="ok")

    @property
    def doubts(self) -> tuple[Check, ...]:
        """The checks that are not ok, worst first."""
        bad = [check for check in self.checks if check.verdict != "ok"]
        return tuple(sorted(bad, key=lambda check: -SEVERITY[check.verdict]))

    @property
    def cautions(self) -> tuple[str, ...]:
        """The sentences of the checks that are not ok, worst first."""
        return tuple(check.sentence for check in self.doubts)

    def __str__(self) -> str:
        lines = [f"  {check.verdict:<6} {check.name}: {check.sentence}" for check in self.checks]
        return "\n".join([f"health: {self.verdict}", *lines])


def assess(bound: BoundModel, draws: Draws, derived: Draws, stats: Draws, kind: str = "posterior") -> Health:
    """Every check that these draws allow; chains and priors are a posterior's alone.

    draws : raw parameters, derived : what follows from them, stats : the sampler's own; each name -> (chain, draw).
    """
    design = tuple(_design(bound))
    if kind != "posterior":
        return Health(design)
    learned = (*_learning(bound, draws, derived), *_tails(draws), *_beside_error(bound.model, draws))
    return Health((*_mixing({**draws, **derived}, stats), *_sampler(stats), *design, *learned))


def assess_chains(draws: Draws, stats: Draws) -> Health:
    """The checks that need no table of runs: do the chains agree, did the sampler follow; as `assess` otherwise."""
    return Health((*_mixing(draws, stats), *_sampler(stats)))


def _grade(value: float, ok: bool, usable: bool) -> Verdict:
    if np.isnan(value) or not usable:
        return "fail"
    return "ok" if ok else "review"


def _mixing(draws: Draws, stats: Draws) -> Iterable[Check]:
    found = convergence(draws, superchains(stats))
    worst = max(found, key=lambda name: np.nan_to_num(found[name]["r_hat"], nan=np.inf))
    r_hat = found[worst]["r_hat"]
    advice = "" if r_hat <= 1.01 else "; the chains disagree: run longer, or look for two modes"
    yield Check("R-hat", _grade(r_hat, r_hat <= 1.01, r_hat <= 1.05), r_hat, f"{r_hat:.3f} at most ({worst}){advice}")
    for kind in ("bulk", "tail"):
        least = min(found, key=lambda name: np.nan_to_num(found[name][f"ess_{kind}"], nan=-1.0))
        ess = found[least][f"ess_{kind}"]
        advice = "" if ess >= 400 else "; intervals carry visible Monte Carlo error: ask for more draws"
        sentence = f"{ess:.0f} effective draws at least ({least}){advice}"
        yield Check(f"{kind} ESS", _grade(ess, ess >= 400, ess >= 100), ess, sentence)


def _sampler(stats: Draws) -> Iterable[Check]:
    if "pareto_k" in stats:
        yield _weights(float(stats["pareto_k"].flat[0]))
    if "modes" in stats:
        yield _modes(int(stats["modes"].flat[0]))
    if "diverging" in stats:
        count, share = int(stats["diverging"].sum()), float(stats["diverging"].mean())
        advice = "" if count == 0 else "; the posterior has a corner the sampler cannot follow: raise target_accept"
        yield Check("divergences", _grade(share, count == 0, share < 0.01), count, f"{count}{advice}")
    if "energy" in stats:
        e_bfmi = _e_bfmi(stats["energy"])
        advice = "" if e_bfmi >= 0.3 else "; the tails are explored slowly: run longer, or tighten priors"
        yield Check("E-BFMI", _grade(e_bfmi, e_bfmi >= 0.3, e_bfmi >= 0.1), e_bfmi, f"{e_bfmi:.2f} at least{advice}")
    if "saturated" in stats:
        share = float(stats["saturated"].mean())
        advice = "" if share == 0 else "; trajectories are cut short: raise max_tree_depth"
        yield Check("tree depth", _grade(share, share == 0, True), share, f"{share:.1%} of draws at the limit{advice}")


def _weights(k: float) -> Check:
    """Whether importance weights can be averaged: Pareto k (Vehtari et al. 2024, arXiv 1507.02646)."""
    advice = "" if k <= PARETO_K else "; a few draws carry much of the weight: ask for more, or use engine nuts"
    return Check("Pareto k", _grade(k, k <= PARETO_K, k <= 1.0), k, f"{k:.2f} for the importance weights{advice}")


def _modes(count: int) -> Check:
    advice = "" if count == 1 else ": the runs allow different laws; look at a plot of the draws, and add runs"
    return Check("modes", "ok" if count == 1 else "review", count, f"{count} found{advice}")


def _e_bfmi(energy: np.ndarray) -> float:
    """Energy Bayesian fraction of missing information, the least over chains (Betancourt 2016, section 3)."""
    return float(np.min((np.diff(energy, axis=1) ** 2).mean(axis=1) / energy.var(axis=1)))


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
    off = format_count(n * 3), format_count(share_6nd(6 * n * d, n * 3))
    sentence = (
        f"all runs lie on one path of tokens against parameters (about {d / n:.3g} tokens per parameter in the "
        f"middle), so alpha, beta and the allocation are not identified; add runs off it, such as "
        f"N {off[0]} with D {off[1]}, and the reverse"
    )
    return Check("one ray", "fail" if factor < 1.05 else "review", factor, sentence)


def _learning(bound: BoundModel, draws: Draws, derived: Draws) -> Iterable[Check]:
    """Posterior against prior width, in unit-free coordinates: what the runs taught about the law."""
    law = bound.model.law
    with precision():
        prior = {name: np.asarray(values) for name, values in _prior_draws(bound.model).items()}
    posterior = bound.to_unit(draws)
    prior_derived = {name: values for name, values in law.derived(prior).items() if name in derived}
    names = [*(p.name for p in law.params()), *prior_derived]
    ratios = {name: _width({**posterior, **derived}[name]) / _width({**prior, **prior_derived}[name]) for name in names}
    worst = max(ratios, key=ratios.__getitem__)
    if ratios[worst] <= 0.5:
        sentence = f"the widest posterior is {ratios[worst]:.0%} of its prior ({worst})"
        return [Check("learning", "ok", ratios[worst], sentence)]
    poor = ", ".join(f"{name} ({ratio:.0%})" for name, ratio in ratios.items() if ratio > 0.5)
    sentence = f"the runs hardly narrow the prior of {poor}: those intervals are mostly assumption; {_widen(bound)}"
    return [Check("learning", "review", ratios[worst], sentence)]


def _tails(draws: Draws) -> Iterable[Check]:
    """Residuals heavier-tailed than Cauchy's are no noise: the law describes some of the runs and misses others."""
    if "nu" not in draws:
        return
    nu, sigma = float(np.median(draws["nu"])), float(np.median(draws["sigma"]))
    sentence = f"nu {nu:.2g} for the runs around the law"
    if nu < LEAST_NU:
        sentence += (
            f": most lie within {sigma:.2%} of it and many far off, so the law holds for a part of the table only, and "
            "parameters hang on which part; leave out the runs it is not meant for, or choose another law"
        )
    yield Check("tails", _grade(nu, nu >= LEAST_NU, True), nu, sentence)


def _beside_error(model: Model, draws: Draws) -> Iterable[Check]:
    """Exponents far from those of the sweeps the law's own error was learned on: there kind form is out of place."""
    found = model.discrepancy
    if found is None or found.exponent is None:
        return
    middle, spread = found.exponent
    for name in model.learned_priors:
        log_draws = np.log(draws[name])
        off = float(abs(np.median(log_draws) - np.log(middle)) / np.hypot(spread, log_draws.std()))
        sentence = f"{name} lies {off:.1f} deviations from that of the sweeps the law's own error was learned on"
        if off > FAR_OFF:
            sentence += (
                f", {middle:g}, so intervals of kind form pull it there; learn scales from sweeps like this one, or "
                "set sf.Discrepancy(exponent=None)"
            )
        yield Check(f"learned {name}", _grade(off, off <= FAR_OFF, True), off, sentence)


@program("model")
def _prior_draws(model: Model) -> Theta:
    """Of the law's parameters; those of the noise are dropped before they are ever drawn."""
    draws = model.sample_prior(jax.random.PRNGKey(0), 4000)
    return {p.name: draws[p.name] for p in model.law.params()}


def _widen(bound: BoundModel) -> str:
    """Which run would teach most: a decade beyond the data in the input that spans the fewest decades."""
    spans = {name: np.log10(bound.runs[name].max() / bound.runs[name].min()) for name in _counts(bound)}
    if not spans:
        return "add runs"
    name = min(spans, key=spans.__getitem__)
    return f"add runs with {name} near {format_count(bound.runs[name].max() * 10)}, or more runs"


def _width(draws: np.ndarray) -> float:
    low, high = np.quantile(draws, [0.05, 0.95])
    return float(high - low)
