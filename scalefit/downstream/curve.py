"""Curve: a link function and the scatter around it, and its posterior for a table of losses and accuracies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax import Array
from jaxtyping import Float

from scalefit._batching import padded_rows
from scalefit._precision import precision
from scalefit.diagnostics.checks import Health
from scalefit.diagnostics.health import assess_chains
from scalefit.downstream._density import DensityModel, sample_density
from scalefit.downstream.links import Link
from scalefit.downstream.scatter import BetaBinomial, NormalScatter, Scatter
from scalefit.laws import Param

ROWS = 32  # tables are padded to a multiple, so that those of about one size share compiled programs


@dataclass(frozen=True)
class Curve(DensityModel):
    """A link function and the scatter around it.

    Numbers that the link fixes are data of the density, so that all their values share compiled programs.

    Parameters
    ----------
    link
        The structure of the link function.
    scatter
        The distribution of measured accuracy around it.
    """

    link: Link
    scatter: Scatter

    def params(self) -> tuple[Param, ...]:
        """The parameters of the link function, then those of the scatter."""
        return (*self.link.params(), *self.scatter.params())

    def log_likelihood(self, theta: Mapping[str, Any], data: Mapping[str, Array]) -> Float[Array, ""]:
        """Log likelihood of every model's accuracy, counted `weight` times.

        Parameters
        ----------
        theta
            One draw of the parameters, by name.
        data
            accuracy, standardised loss, weight and, where known, items -> (model,); fixed numbers of the link -> ().

        Returns
        -------
        array ()
            The sum over models.
        """
        expected = self.link.accuracy(self.link.curve_params({**data, **theta}), data["loss"])
        return (data["weight"] * self.scatter.log_density(theta, expected, data)).sum()


def sample_curve(
    link: Link, columns: dict[str, Float[np.ndarray, " model"]], seed: int
) -> tuple[Curve, dict[str, Float[np.ndarray, "chain draw"]], Health]:
    """Draw from the posterior of a curve.

    Parameters
    ----------
    link
        The link function, with the numbers it fixes.
    columns
        loss, accuracy and, where known, items -> (model,).
    seed
        Of the draws.

    Returns
    -------
    curve : Curve
        The structure of the link, with the scatter that suits the columns.
    draws : dict
        Parameter of curve or scatter -> draws (chain, draw), in the unit of the loss; what is fixed does not vary.
    health : Health
        Whether the draws can be trusted.
    """
    curve = Curve(link.structure, BetaBinomial() if "items" in columns else NormalScatter())
    mean, spread = float(columns["loss"].mean()), float(columns["loss"].std())
    count = len(columns["loss"])
    rows = padded_rows(count, ROWS)  # those added have no weight
    known = {**columns, "loss": (columns["loss"] - mean) / spread}
    padded = {name: values[rows] for name, values in known.items()} | {"weight": np.arange(len(rows)) < count}
    sampled, stats = sample_density(curve, padded | link.fixed, seed)
    with precision("float64"):
        raw = link.rescale(link.curve_params({**sampled, **link.fixed}), mean, spread)
    raw |= {p.name: sampled[p.name] for p in curve.scatter.params()}
    draws = {name: np.asarray(values) for name, values in raw.items()}
    varying = {name: values for name, values in draws.items() if np.ptp(values) > 0}
    return curve, draws, assess_chains(varying, stats)
