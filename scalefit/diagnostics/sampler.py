"""Can these draws be trusted? Whether chains agree, and whether the sampler and its search for modes worked.

Gates are R-hat at most 1.01 and bulk and tail ESS at least 400, no divergences, E-BFMI at least 0.3, no saturated
trees, and a Pareto k of at most 0.7.

References
----------
Vehtari et al. 2021 (arXiv 1903.08008) for R-hat and ESS; Betancourt 2016 (arXiv 1604.00695) for E-BFMI; Vehtari et al.
2024 (arXiv 1507.02646) for Pareto k.
"""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float

from scalefit.diagnostics.checks import Check, Draws, Stats, grade
from scalefit.diagnostics.convergence import convergence, is_weighted
from scalefit.numerics.importance import PARETO_K

MOST_R_HAT, FAIL_R_HAT = 1.01, 1.05
LEAST_ESS, FAIL_ESS = 400, 100
FAIL_DIVERGING = 0.01  # share of transitions
LEAST_E_BFMI, FAIL_E_BFMI = 0.3, 0.1
FAIL_PARETO_K = 1.0
LEAST_CONVERGED, FAIL_CONVERGED = 0.95, 0.5  # shares of searches


def check_chains(draws: Draws, stats: Stats) -> Iterable[Check]:
    """Check that the chains agree and are long enough.

    Parameters
    ----------
    draws
        Quantity -> draws (chain, draw).
    stats
        The sampler's own numbers, by name.

    Yields
    ------
    Check
        "R-hat", "bulk ESS" and "tail ESS", each for the quantity where it is worst; no R-hat of a weighted sample,
        whose parts cannot disagree.
    """
    found = convergence(draws, stats)
    if not is_weighted(stats):
        yield _r_hat({name: figures["r_hat"] for name, figures in found.items()})
    for kind in ("bulk", "tail"):
        least = min(found, key=lambda name: np.nan_to_num(found[name][f"ess_{kind}"], nan=-1.0))
        ess = found[least][f"ess_{kind}"]
        sentence = f"{least} has the fewest effective draws, {ess:.0f}"
        sentence += "." if ess >= LEAST_ESS else ", so that intervals show Monte Carlo error. Take more draws."
        yield Check(f"{kind} ESS", grade(ess, ess >= LEAST_ESS, ess >= FAIL_ESS), ess, sentence)


def _r_hat(found: dict[str, float]) -> Check:
    worst = max(found, key=lambda name: np.nan_to_num(found[name], nan=np.inf))
    r_hat = found[worst]
    sentence = f"R-hat is {r_hat:.3f} at most, for {worst}."
    if not r_hat <= MOST_R_HAT:
        sentence = f"the chains disagree, with an R-hat of {r_hat:.3f} for {worst}. Run longer, or look for two modes."
    return Check("R-hat", grade(r_hat, r_hat <= MOST_R_HAT, r_hat <= FAIL_R_HAT), r_hat, sentence)


def check_sampler(stats: Stats) -> Iterable[Check]:
    """Check the sampler's own numbers.

    Parameters
    ----------
    stats
        By name; a check is made where its numbers are there.

    Yields
    ------
    Check
        "Pareto k", "modes", "divergences", "E-BFMI" and "tree depth".
    """
    if "pareto_k" in stats:
        yield _weights(float(stats["pareto_k"].flat[0]))
    if "modes" in stats:
        yield _modes(int(stats["modes"].flat[0]))
    if "diverging" in stats:
        yield _divergences(int(stats["diverging"].sum()), float(stats["diverging"].mean()))
    if "energy" in stats:
        yield _energy(_e_bfmi(stats["energy"]))
    if "saturated" in stats:
        yield _trees(float(stats["saturated"].mean()))


def check_search(stats: Stats, kind: str) -> Iterable[Check]:
    """Check that the searches for modes, of a posterior, or for estimates ended in minima.

    Parameters
    ----------
    stats
        By name; the check is made where "converged" is there.
    kind
        "posterior", "bootstrap" or "point".

    Yields
    ------
    Check
        "convergence of the search", whose value is the share that converged.
    """
    if "converged" not in stats:
        return
    share = float(np.mean(stats["converged"]))
    sentence = f"{share:.0%} of the searches for {'modes' if kind == 'posterior' else 'estimates'} converged"
    if share < LEAST_CONVERGED:
        sentence += ", and the density may have no mode. Remove copies of runs, or give priors"
    # Draws of a posterior have checks of their own, wherever the sampler began; an estimate has none.
    usable = kind == "posterior" or share > FAIL_CONVERGED
    yield Check("convergence of the search", grade(share, share >= LEAST_CONVERGED, usable), share, f"{sentence}.")


def _weights(k: float) -> Check:
    """Whether importance weights can be averaged."""
    sentence = f"Pareto k of the importance weights is {k:.2f}"
    if not k <= PARETO_K:
        sentence += ", so that a few draws have much of the weight. Take more draws, or use engine='nuts'"
    return Check("Pareto k", grade(k, k <= PARETO_K, k <= FAIL_PARETO_K), k, f"{sentence}.")


def _modes(count: int) -> Check:
    if count == 1:
        return Check("modes", "ok", count, "the posterior has one mode.")
    sentence = f"the posterior has {count} modes, since the runs allow different laws. Plot the draws, and add runs."
    return Check("modes", "review", count, sentence)


def _divergences(count: int, share: float) -> Check:
    sentence = "no transition diverged."
    if count:
        sentence = f"{count} transitions diverged at a corner of the posterior. Raise target_accept."
    return Check("divergences", grade(share, count == 0, share < FAIL_DIVERGING), count, sentence)


def _energy(value: float) -> Check:
    sentence = f"E-BFMI is {value:.2f} at least"
    if not value >= LEAST_E_BFMI:
        sentence += ", so that the tails are explored slowly. Run longer, or give tighter priors"
    return Check("E-BFMI", grade(value, value >= LEAST_E_BFMI, value >= FAIL_E_BFMI), value, f"{sentence}.")


def _trees(share: float) -> Check:
    sentence = f"{share:.1%} of the trajectories end at the limit of their depth"
    if share:
        sentence += ". Raise max_tree_depth"
    return Check("tree depth", grade(share, share == 0, True), share, f"{sentence}.")


def _e_bfmi(energy: Float[np.ndarray, "chain draw"]) -> float:
    """Energy Bayesian fraction of missing information, the least over chains (Betancourt 2016, section 3)."""
    return float(np.min((np.diff(energy, axis=1) ** 2).mean(axis=1) / energy.var(axis=1)))
