"""Can these draws be trusted? Numbers, a verdict and a sentence for each check.

Gates: R-hat at most 1.01 and bulk and tail ESS at least 400 (Vehtari et al. 2021, arXiv 1903.08008), no
divergences, E-BFMI at least 0.3 (Betancourt 2016, arXiv 1604.00695), no saturated trees; and what no sampler
can mend: a design that does not identify the law.
"""

from collections.abc import Iterable

import jax
import numpy as np

from scalefit._aot import cached_jit
from scalefit._precision import precision
from scalefit.diagnostics.checks import Check, Draws, _grade
from scalefit.diagnostics.design import _widen
from scalefit.model.data import Theta
from scalefit.model.model import BoundModel, Model

LEAST_NU = 1.0
FAR_OFF = 3.0  # deviations


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
    for name in model.discrepancy_priors:
        log_draws = np.log(draws[name])
        off = float(abs(np.median(log_draws) - np.log(middle)) / np.hypot(spread, log_draws.std()))
        sentence = f"{name} lies {off:.1f} deviations from that of the sweeps the law's own error was learned on"
        if off > FAR_OFF:
            sentence += (
                f", {middle:g}, so intervals of kind form pull it there; learn scales from sweeps like this one, or "
                "set sf.Discrepancy(exponent=None)"
            )
        yield Check(f"learned {name}", _grade(off, off <= FAR_OFF, True), off, sentence)


@cached_jit("model")
def _prior_draws(model: Model) -> Theta:
    """Of the law's parameters; those of the noise are dropped before they are ever drawn."""
    draws = model.sample_prior(jax.random.PRNGKey(0), 4000)
    return {p.name: draws[p.name] for p in model.law.params()}


def _width(draws: np.ndarray) -> float:
    low, high = np.quantile(draws, [0.05, 0.95])
    return float(high - low)
