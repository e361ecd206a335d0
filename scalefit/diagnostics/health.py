"""Can these draws, and this model, be trusted? A number, a verdict and a sentence for each check.

Checks of the table come first, then those of the model on it, then those of the draws: causes before what they cause.
"""

import numpy as np

from scalefit._blas import one_blas_thread
from scalefit.diagnostics.checks import Draws, Health, Stats
from scalefit.diagnostics.design import check_design
from scalefit.diagnostics.learning import check_learning, check_tails
from scalefit.diagnostics.misfit import check_misfit
from scalefit.diagnostics.prior_conflict import check_least_loss, check_prior_conflict
from scalefit.diagnostics.repetition import check_repetition
from scalefit.diagnostics.rows import check_rows
from scalefit.diagnostics.sampler import check_chains, check_sampler, check_search
from scalefit.model.model import BoundModel


@one_blas_thread()
def assess(bound: BoundModel, draws: Draws, derived: Draws, stats: Stats, kind: str = "posterior") -> Health:
    """Make every check that table, model and draws allow; chains and priors are checked for a posterior alone.

    Parameters
    ----------
    bound
        The model bound to its table.
    draws
        Raw parameters, name -> (chain, draw).
    derived
        What follows from them, name -> (chain, draw).
    stats
        The sampler's own numbers, by name.
    kind
        "posterior", "bootstrap" or "point".

    Returns
    -------
    Health
        The checks and their verdict.
    """
    table = (
        *check_design(bound),
        *check_rows(bound.runs, len(bound.model.law_space.names)),
        *check_repetition(bound),
        *check_misfit(bound, draws),
        *check_prior_conflict(bound, draws, kind),
        *check_least_loss(bound, draws),
        *check_search(stats, kind),
    )
    if kind != "posterior":
        return Health(table)
    learned = (
        *check_learning(bound, draws, derived),
        *check_tails(draws),
    )
    free = bound.model.free
    # What is fixed, or follows from that alone, has no chains; a free parameter that is stuck has.
    moving = {name: values for name, values in {**draws, **derived}.items() if name in free or np.ptp(values) > 0}
    return Health((*table, *learned, *check_chains(moving, stats), *check_sampler(stats)))


def assess_chains(draws: Draws, stats: Stats) -> Health:
    """Make the checks that need no table of runs: whether the chains agree, and whether the sampler worked.

    Parameters
    ----------
    draws
        Quantity -> draws (chain, draw).
    stats
        The sampler's own numbers, by name.

    Returns
    -------
    Health
        The checks and their verdict.
    """
    return Health((*check_chains(draws, stats), *check_sampler(stats), *check_search(stats, "posterior")))
