"""A predictive distribution of losses as a file can hold it: quantiles, and the density at places of the loss."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator

from scalefit._precision import precision
from scalefit.fits.fit import Fit
from scalefit.fits.predictive import log_loss_draws, log_predictive_density
from scalefit.validation.scores import crps_of_quantiles, inside, interval_score, log_losses

# Of every half percent, and of both tails; the ends of 50, 80 and 90 % intervals are among them.
LEVELS = np.unique(np.round([0.001, 0.0025, *np.arange(0.005, 0.9975, 0.005), 0.9975, 0.999], 4))
AWAY = np.geomspace(1.2, 40, 16)  # places of the density beyond, in distances of the outermost quantile from the median
PROBS = (0.5, 0.9)  # of the intervals that are scored
LEAST_DRAWS = 1000  # a point estimate predicts with its noise alone, from this many draws
DIGITS = 10  # significant, of every number


@dataclass(frozen=True, eq=False)
class Quantiles:
    """Predictive distributions of the losses of runs, each independent of what made it.

    Parameters
    ----------
    one_run
        Quantiles at `LEVELS` of the loss that one run logs, in the table's unit.
    expected
        Those of the loss without noise; None for a point estimate, which has one value of it.
    middle
        The median of the loss without noise.
    places, log_density
        Losses, ascending, and the log predictive density of ln loss there, noise included.
    """

    one_run: Float[np.ndarray, "run level"]
    expected: Float[np.ndarray, "run level"] | None
    middle: Float[np.ndarray, " run"]
    places: Float[np.ndarray, "run place"]
    log_density: Float[np.ndarray, "run place"]

    @classmethod
    def of(cls, fit: Fit, inputs: Mapping[str, np.ndarray], discrepancy: bool, seed: int) -> Self:
        """What a fit predicts.

        Parameters
        ----------
        fit
            Any fit.
        inputs
            Of its law, name -> (run,).
        discrepancy
            Whether the prediction includes it.
        seed
            Of the noise.

        Raises
        ------
        QuestionError
            As `Fit.predict` does.
        """
        unit = fit.runs.unit
        expected = fit.predict(dict(inputs), noise=False, discrepancy=discrepancy)
        point = fit.kind == "point"
        one_run = repeated(fit).predict(dict(inputs), discrepancy=discrepancy, seed=seed)
        one_run, plain = (np.exp(log_losses(draws, unit)) for draws in (one_run, expected))
        quantiles = np.quantile(one_run, LEVELS, axis=0).T
        places = _places(np.log(quantiles))
        return cls(
            rounded(quantiles),
            None if point else rounded(np.quantile(plain, LEVELS, axis=0).T),
            rounded(np.median(plain, axis=0)),
            rounded(np.exp(places)),
            rounded(_log_density(fit, inputs, discrepancy, places)),
        )

    def interval(self, prob: float, noise: bool = True) -> Float[np.ndarray, "3 run"]:
        """Median, lower and upper end of an equal-tailed interval, of one run's loss or of the expected loss."""
        if not noise and self.expected is None:
            return np.stack([self.middle, *np.full((2, len(self.middle)), np.nan)])
        quantiles, tail = self.one_run if noise or self.expected is None else self.expected, (1 - prob) / 2
        return np.array([[np.interp(level, LEVELS, row) for row in quantiles] for level in (0.5, tail, 1 - tail)])

    def scores(self, run: int, loss: float) -> dict[str, Any]:
        """Scores of the prediction of a run, in ln loss, as those of a backtest.

        Parameters
        ----------
        run
            Which run.
        loss
            Its loss.

        Returns
        -------
        dict
            pit, inside_50, inside_90, crps, log_score, interval_score (90 %) and error (predicted less observed).
        """
        row, observed = np.log(self.one_run[run]), float(np.log(loss))
        pit = np.interp(observed, row, LEVELS, left=LEVELS[0] / 2, right=(1 + LEVELS[-1]) / 2)
        lower, upper = (np.interp([level], LEVELS, row) for level in (0.05, 0.95))
        held = {f"inside_{100 * prob:.0f}": bool(inside(np.array([pit]), prob)[0]) for prob in PROBS}
        return {
            "pit": float(pit),
            **held,
            "crps": crps_of_quantiles(row, LEVELS, observed),
            "log_score": -self._log_density_at(run, observed),
            "interval_score": float(interval_score(lower, upper, np.array([observed]), 0.9)[0]),
            "error": float(np.log(self.middle[run])) - observed,
        }

    def _log_density_at(self, run: int, log_loss: float) -> float:
        """Between the places a smooth curve; beyond them a power of the distance from the median, as t noise has."""
        x, first = np.unique(np.log(self.places[run]), return_index=True)
        y = self.log_density[run][first]
        if x[0] <= log_loss <= x[-1]:
            return float(PchipInterpolator(x, y)(log_loss))
        end, next_to = (0, 1) if log_loss < x[0] else (-1, -2)
        centre = np.log(self.one_run[run, len(LEVELS) // 2])
        last, before, here = np.log(np.abs(np.array([x[end], x[next_to], log_loss]) - centre) + 1e-300)
        slope = (y[end] - y[next_to]) / max(last - before, 1e-9)
        return float(y[end] + min(slope, -1.0) * (here - last))


def repeated(fit: Fit) -> Fit:
    """A point estimate repeated, so that its noise is drawn often enough; other fits as they are."""
    count = len(next(iter(fit.theta.values())))
    if count >= LEAST_DRAWS:
        return fit
    copies = -(-LEAST_DRAWS // count)
    return replace(fit, draws={name: np.tile(values, copies) for name, values in fit.draws.items()})


def rounded(values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Numbers as a file has them."""
    return np.array([float(f"{value:.{DIGITS}g}") for value in values.ravel()]).reshape(values.shape)


def _places(log_quantiles: Float[np.ndarray, "run level"]) -> Float[np.ndarray, "run place"]:
    """ln loss where the density is kept: at every second quantile, and further out on both sides."""
    middle = log_quantiles[:, [len(LEVELS) // 2]]
    below, above = (middle + (log_quantiles[:, [end]] - middle) * AWAY for end in (0, -1))
    return np.concatenate([below[:, ::-1], log_quantiles[:, ::2], above], axis=1)


def _log_density(
    fit: Fit, inputs: Mapping[str, np.ndarray], discrepancy: bool, places: Float[np.ndarray, "run place"]
) -> Float[np.ndarray, "run place"]:
    theta, paths = fit.joint_draws(discrepancy)
    found = []
    with precision():
        theta, x, paths = jax.tree.map(jnp.asarray, (theta, dict(inputs), paths))
        expected = log_loss_draws(fit.model, theta, x, paths)
        for run, log_loss in enumerate(places):  # run by run: of many at once the densities would not fit
            mean = jnp.broadcast_to(expected[:, [run]], (len(expected), len(log_loss)))
            found.append(np.asarray(log_predictive_density(fit.model, theta, mean, jnp.asarray(log_loss))))
    return np.array(found, dtype=float)
