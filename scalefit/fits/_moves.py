"""How far quantities of a fit moved when runs were added, beside what the fit before expected."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from scalefit._precision import precision
from scalefit._quantities import posterior_name
from scalefit.diagnostics.convergence import convergence
from scalefit.fits._answers import Answers
from scalefit.fits.predictive import log_noise_density
from scalefit.numerics.expected_shift import expected_shifts
from scalefit.runs import Runs

NONE = np.full(1, np.nan)
OUTCOMES = 400  # of the new runs that are simulated


class Move(NamedTuple):
    """How far a quantity moved, as a mean of its draws, or of their logarithms where all are positive.

    Parameters
    ----------
    before, after
        Draws.
    shift
        Of the mean, in standard deviations of the draws before.
    expected
        Draws of the shift as the fit before predicts them, in the same; NaN where there is no posterior.
    error
        Monte Carlo error of the shift, in the same.
    posterior
        "law only" or "with discrepancy".
    """

    before: Float[np.ndarray, " draw"]
    after: Float[np.ndarray, " other"]
    shift: float
    expected: Float[np.ndarray, " some"]
    error: float
    posterior: str

    @property
    def standardised(self) -> float:
        """The shift over its expected size: standard normal, about, where the fit before was right."""
        return self.shift / float(np.hypot(self.expected.std(), self.error))

    @property
    def chance(self) -> float:
        """Probability of a shift at least as large, under the fit before."""
        drawn = self.expected + self.error * np.random.default_rng(0).normal(size=len(self.expected))
        return float(np.mean(np.abs(drawn) >= abs(self.shift))) if np.isfinite(drawn).all() else float("nan")


def moves_of(
    before: Answers,
    after: Answers,
    new: Runs,
    discrepancy: bool,
    old: Mapping[str, np.ndarray],
    now: Mapping[str, np.ndarray],
) -> dict[str, Move]:
    """How far each quantity of one posterior moved.

    Parameters
    ----------
    before, after
        The fit without the new runs and with them.
    new
        These runs.
    discrepancy
        Whether the quantities include it.
    old, now
        Quantity -> draws before and after, each (chain, draw).

    Returns
    -------
    dict
        Quantity -> `Move`.
    """
    positive = {name: old[name].min() > 0 and now[name].min() > 0 for name in old}
    first, second = ({n: np.log(v) if positive[n] else v for n, v in draws.items()} for draws in (old, now))
    deviation = {name: float(draws.std()) or np.nan for name, draws in first.items()}
    expected = dict.fromkeys(old, NONE)
    if before.kind == "posterior":
        quantities = np.stack([draws.reshape(-1) for draws in first.values()], axis=1)
        shifts = expected_shifts(quantities, *_predicted(before, new, discrepancy))
        expected = {name: shifts[:, i] / deviation[name] for i, name in enumerate(old)}
    resampled = {"pareto_k": np.zeros(1)}
    stats = (resampled, resampled) if discrepancy else (before.stats, after.stats)
    errors = [_squared_errors(*each) for each in zip((first, second), stats, strict=True)]
    return {
        name: Move(
            before=old[name].reshape(-1),
            after=now[name].reshape(-1),
            shift=float(second[name].mean() - first[name].mean()) / deviation[name],
            expected=expected[name],
            error=float(np.sqrt(errors[0][name] + errors[1][name])) / deviation[name],
            posterior=posterior_name(discrepancy),
        )
        for name in old
    }


def _predicted(before: Answers, new: Runs, discrepancy: bool) -> tuple[np.ndarray, ...]:
    """ln losses of the new runs without and with noise, the likelihood of some of them, and whose these are."""
    expected, outcomes = (np.log(before.predict(new, noise=noise, discrepancy=discrepancy)) for noise in (False, True))
    theta, _ = before.joint_draws(discrepancy)
    truth = np.unique(np.linspace(0, len(expected) - 1, OUTCOMES).astype(int))
    log_likelihood = np.zeros((len(truth), len(expected)))
    with precision():
        theta = jax.tree.map(jnp.asarray, theta)
        for run in range(len(new)):
            residuals = jnp.asarray(outcomes[truth, run] - expected[:, [run]])
            log_likelihood += np.asarray(log_noise_density(before.model, theta, residuals)).T
    return expected, outcomes, log_likelihood, truth


def _squared_errors(draws: Mapping[str, np.ndarray], stats: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Monte Carlo variance of the mean of each quantity's draws."""
    if next(iter(draws.values())).size == 1:
        return dict.fromkeys(draws, 0.0)
    found = convergence(draws, stats)
    return {name: float(values.var()) / max(float(found[name]["ess_bulk"]), 1.0) for name, values in draws.items()}
