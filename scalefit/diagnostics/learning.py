"""What did the runs teach? The posterior against its prior, the noise, and the priors of the discrepancy."""

from collections.abc import Iterable

import jax
import numpy as np
from jaxtyping import Float

from scalefit._aot import cached_jit
from scalefit._precision import precision
from scalefit.diagnostics.checks import Check, Draws, grade
from scalefit.diagnostics.design import runs_to_add
from scalefit.diagnostics.explained import Explained
from scalefit.model.data import Theta
from scalefit.model.model import BoundModel, Model

MOST_OF_PRIOR = 0.5  # of the width of a prior that a posterior may have
LEAST_NU = 1.2  # beside that of the prior, 1
FAR_OFF = 5.0  # standard deviations: as far as in one family of four
PRIOR_DRAWS = 4000


def check_learning(bound: BoundModel, draws: Draws, derived: Draws) -> Iterable[Check]:
    """Check the width of the posterior against that of the prior, in unit-free coordinates.

    Parameters
    ----------
    bound
        The model bound to its table.
    draws
        Raw parameters, name -> (chain, draw).
    derived
        What follows from them, name -> (chain, draw).

    Returns
    -------
    list of Check
        "learning", whose value is the largest ratio of widths.
    """
    law = bound.model.law
    with precision():
        prior = {name: np.asarray(values) for name, values in _prior_draws(bound.model).items()}
    prior |= {name: values for name, values in law.derived(prior).items() if name in derived}
    posterior = {**bound.to_unit(dict(draws)), **derived}
    # Of what is fixed there is nothing to learn; a prior that a user gave is meant to be rested on.
    given = {name for name, _ in (bound.stated or bound.model).priors}
    asked = [p.name for p in law.params() if p.name not in given] if given else list(prior)
    ratios = {name: _width(posterior[name]) / width for name in asked if (width := _width(prior[name])) > 0}
    if not ratios:
        return []
    worst = max(ratios, key=ratios.__getitem__)
    if ratios[worst] <= MOST_OF_PRIOR:
        sentence = f"the widest posterior, of {worst}, is {ratios[worst]:.0%} as wide as its prior."
        return [Check("learning", "ok", ratios[worst], sentence)]
    # Of a scale that the runs only bound from below, the posterior is wider than the prior.
    narrowed = lambda ratio: f"{ratio:.0%} of it is left" if ratio < 1 else "not at all"
    poor = ", ".join(f"{name} ({narrowed(ratio)})" for name, ratio in ratios.items() if ratio > MOST_OF_PRIOR)
    sentence = f"the runs hardly narrow the prior of {poor}, so that those intervals rest on it. {runs_to_add(bound)}"
    return [Check("learning", "review", ratios[worst], sentence)]


def check_tails(draws: Draws) -> Iterable[Check]:
    """Check that residuals are not heavier-tailed than Cauchy's, as where a law describes some runs and misses others.

    Parameters
    ----------
    draws
        Raw parameters, name -> (chain, draw).

    Yields
    ------
    Check
        "tails", whose value is the median of nu; none for noise without nu.
    """
    if "nu" not in draws:
        return
    nu, sigma = float(np.median(draws["nu"])), float(np.median(draws["sigma"]))
    if nu >= LEAST_NU:
        yield Check("tails", grade(nu, True, True), nu, f"nu of the noise is {nu:.2g}.")
        return
    sentence = (
        f"most runs lie within {sigma:.2%} of the law and many far off (nu {nu:.2g}), so that the law describes a part "
        "of the table only, and its parameters depend on which part. Leave out the runs that it is not meant for, or "
        "choose another law."
    )
    yield Check("tails", grade(nu, False, True), nu, sentence)


def check_exponents(bound: BoundModel, found: Explained) -> Iterable[Check]:
    """Check that exponents are like those of the sweeps that the discrepancy was learned on.

    Parameters
    ----------
    bound
        The model bound to its table.
    found
        The residuals, and what law and discrepancy account for: exponents are estimated by generalised least squares
        under the priors that the law has without a discrepancy.

    Yields
    ------
    Check
        "learned ..." for each exponent with a prior of the discrepancy, whose value is its distance in standard
        deviations.
    """
    model = bound.model
    discrepancy = model.discrepancy if model.has_discrepancy else None
    if discrepancy is None or discrepancy.exponent is None:
        return
    middle, spread = discrepancy.exponent
    given, names = dict(model.priors), model.law_space.names
    for name in (name for name in model.discrepancy_priors if name not in given and name in names):
        i = names.index(name)
        mean, variance = found.estimate(i)
        at = found.of.mode[i] + found.of.width[i] * (mean + np.sqrt(variance) * np.array([-1.0, 0.0, 1.0]))
        lower, value, upper = np.log(np.asarray(model.law_space.constrain({name: at})[name], dtype=float))
        off = float(abs(value - np.log(middle)) / np.hypot(spread, (upper - lower) / 2))
        sentence = (
            f"by {found.model}, {name} is {np.exp(value):.2g}, which lies {off:.1f} standard deviations from "
            f"{middle:g}, its value in the sweeps that the discrepancy was learned on"
        )
        if off > FAR_OFF:
            sentence += (
                ", and answers with discrepancy pull it towards that value. Learn scales from sweeps like this one, "
                "or set sf.Discrepancy(exponent=None)"
            )
        yield Check(f"learned {name}", grade(off, off <= FAR_OFF, True), off, f"{sentence}.")


@cached_jit("model")
def _prior_draws(model: Model) -> Theta:
    """Prior draws of the law's parameters; those of the noise are dropped before they are ever drawn."""
    draws = model.space.sample(jax.random.PRNGKey(0), PRIOR_DRAWS)
    return {p.name: draws[p.name] for p in model.law.params()}


def _width(draws: Float[np.ndarray, "*any"]) -> float:
    low, high = np.quantile(draws, [0.05, 0.95])
    return float(high - low)
