"""Can these draws be trusted? Numbers, a verdict and a sentence for each check.

Gates: R-hat at most 1.01 and bulk and tail ESS at least 400 (Vehtari et al. 2021, arXiv 1903.08008), no
divergences, E-BFMI at least 0.3 (Betancourt 2016, arXiv 1604.00695), no saturated trees; and what no sampler
can mend: a design that does not identify the law.
"""

from collections.abc import Iterable

import numpy as np

from scalefit.diagnostics.checks import Check, Draws, _grade
from scalefit.diagnostics.convergence import convergence, superchains
from scalefit.numerics.importance import PARETO_K


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
