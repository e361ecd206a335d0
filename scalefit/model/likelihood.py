"""ln density of ln residuals: of runs by themselves, or of clusters of them."""

from jaxtyping import Array, Float

from scalefit.model.clusters import log_density_of_clusters, of_single_runs
from scalefit.model.data import Data, Theta
from scalefit.model.noise import Noise


def log_densities(
    noise: Noise,
    theta: Theta,
    data: Data,
    r: Float[Array, " run"],
    precision: Float[Array, " run"] | None = None,
) -> Float[Array, " unit"]:
    """Of every run, whatever its weight; where runs share errors, of every cluster.

    Parameters
    ----------
    noise, theta
        The noise and its parameters.
    data
        Which runs share errors, and what is known of those of single runs.
    r
        ln residuals off law and discrepancy.
    precision
        As `log_density_of_clusters` takes it.
    """
    at_runs = data.at_runs(theta)
    if data.clusters is None:
        return noise.log_density(at_runs, r)
    return log_density_of_clusters(of_single_runs(noise), at_runs, r, data.weight, data.clusters, precision)


def log_density(
    noise: Noise,
    theta: Theta,
    data: Data,
    r: Float[Array, " run"],
    precision: Float[Array, " run"] | None = None,
) -> Float[Array, ""]:
    """Of all runs together, each as often as it counts; arguments as for `log_densities`."""
    found = log_densities(noise, theta, data, r, precision)
    return (data.weight * found).sum() if data.clusters is None else found.sum()
