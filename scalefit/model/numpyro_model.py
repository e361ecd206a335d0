"""A model in NumPyro's own words: what the written-out densities are tested against, and other samplers take."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit.model.model import Model


def numpyro_model(
    model: Model,
    x: Mapping[str, Float[Array, " run"]],
    log_loss: Float[Array, " run"] | None = None,
    weight: Float[Array, " run"] | float = 1.0,
    basis: Float[Array | np.ndarray, "run pivot"] | None = None,
) -> None:
    """One sample site a parameter, and `log_loss` observed for every run.

    Parameters
    ----------
    model
        Law, noise and priors.
    x
        Unit-free inputs by name.
    log_loss
        What was observed; None draws it.
    weight
        How often each run counts.
    basis
        One of `BoundModel.bases`, to include the discrepancy with that set of scales.
    """
    import numpyro

    priors = model.space.priors
    theta = model.space.completed({name: numpyro.sample(name, p.distribution()) for name, p in priors.items()})
    mean = model.log_mean(theta, x)
    if basis is not None:
        standard = numpyro.distributions.Normal().expand([basis.shape[1]]).to_event(1)
        mean = mean + basis @ numpyro.sample("discrepancy", standard)  # at the runs no floor is near
    counts = jnp.asarray(weight) > 0
    # NumPyro scales by positive numbers only: weightless runs are masked instead.
    masked = numpyro.handlers.mask(mask=counts)
    scaled = numpyro.handlers.scale(scale=jnp.where(counts, weight, 1.0))
    with numpyro.plate("run", len(mean)), masked, scaled:
        numpyro.sample("log_loss", model.noise.distribution(theta, mean), obs=log_loss)
