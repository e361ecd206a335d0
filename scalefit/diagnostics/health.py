"""Can these draws be trusted? Numbers, a verdict and a sentence for each check.

Gates: R-hat at most 1.01 and bulk and tail ESS at least 400 (Vehtari et al. 2021, arXiv 1903.08008), no
divergences, E-BFMI at least 0.3 (Betancourt 2016, arXiv 1604.00695), no saturated trees; and what no sampler
can mend: a design that does not identify the law.
"""

from scalefit.diagnostics.checks import Draws, Health
from scalefit.diagnostics.design import _design
from scalefit.diagnostics.learning import _beside_error, _learning, _tails
from scalefit.diagnostics.sampler import _mixing, _sampler
from scalefit.model.model import BoundModel


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
