"""The posterior of a model of a few parameters that is no law of the loss: its priors and its likelihood suffice.

The proposals, weights and resampling of `AIS`, from modes reached from the best of many prior draws; NUTS where Pareto
k exceeds 0.7. Always in float64: beta functions of large arguments cancel, and nothing here is large enough to mind.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from scalefit._aot import cached_jit
from scalefit._precision import precision
from scalefit._random import prng_key
from scalefit.laws import Param, ParamSpace
from scalefit.numerics.importance import PARETO_K, Schedule, importance, pareto_k_of
from scalefit.numerics.laplace import all_converged, count_modes
from scalefit.numerics.mixture import Mixture, at_modes
from scalefit.numerics.newton import autodiff_value_grad_hess
from scalefit.sampling.modes import apart, modes_from
from scalefit.sampling.nuts_kernel import nuts_kernel

WARMUP = 500
STARTS = 400  # prior draws, the best of which lead to modes
SHAPE = (4, 1000)  # chains, draws
# Densities cost little here. Ceilings out of reach bend a posterior into corners, whose weights are small only where
# proposals are wide: at 1.2 one table in three had a Pareto k above .7, at 1.6 none of 24, with 1,500 draws effective.
SCHEDULE = Schedule(8000, 30, wider=1.6)
Draws = dict[str, Shaped[np.ndarray, "chain draw"]]


class DensityModel(ABC):
    """Priors and a likelihood. A frozen, hashable dataclass without arrays, so that tables share compiled programs."""

    @abstractmethod
    def params(self) -> tuple[Param, ...]:
        """What is inferred, each with its prior."""

    @final
    @property
    def space(self) -> ParamSpace:
        """What the parameters span."""
        return ParamSpace(self.params())

    @abstractmethod
    def log_likelihood(self, theta: Mapping[str, Any], data: Mapping[str, Array]) -> Float[Array, ""]:
        """Log likelihood of the whole table at one draw of the parameters. Pure JAX."""


def sample_density(model: DensityModel, data: Mapping[str, Any], seed: int = 0) -> tuple[Draws, Draws]:
    """Draws of a posterior.

    Parameters
    ----------
    model
        Priors and likelihood.
    data
        Arrays by name, whatever the likelihood reads.
    seed
        The same seed gives the same draws.

    Returns
    -------
    tuple of dict
        Parameters on their supports, and the sampler's own numbers.
    """
    with precision("float64"):
        arrays = {name: jnp.asarray(values, dtype=float) for name, values in data.items()}
        z, stats = _by_importance(model, arrays, prng_key(seed), SCHEDULE)
        if not pareto_k_of(stats) <= PARETO_K:
            z, stats = _nuts(model, arrays, z[:, 0], prng_key(seed))
        theta = model.space.constrain(model.space.unflatten(z))
    as_numpy = lambda part: {name: np.asarray(values) for name, values in part.items()}
    return as_numpy(theta), as_numpy(stats)


@cached_jit("model", "schedule")
def _by_importance(
    model: DensityModel, data: dict[str, Array], key: PRNGKeyArray, schedule: Schedule
) -> tuple[Float[Array, "chain draw dim"], dict[str, Shaped[Array, "chain draw"]]]:
    """Unconstrained draws, as `AIS` makes them, and statistics."""
    potential = jax.jit(partial(_potential, model, data))
    prior_key, key = jax.random.split(key)
    start, about_modes = _modes(model, potential, prior_key)
    drawn = importance(start, lambda z: -jax.vmap(potential)(z), key, SHAPE, schedule)
    return drawn.z, drawn.stats | {name: jnp.broadcast_to(value, SHAPE) for name, value in about_modes.items()}


@cached_jit("model")
def _nuts(
    model: DensityModel, data: dict[str, Array], starts: Float[Array, "chain dim"], key: PRNGKeyArray
) -> tuple[Float[Array, "chain draw dim"], dict[str, Shaped[Array, "chain draw"]]]:
    """Unconstrained draws, one chain from each of `starts`, and statistics."""
    # 0.97: these posteriors have corners; at 0.9 one seed in six did not mix where a ceiling was out of sight.
    kernel = nuts_kernel(jax.jit(partial(_potential, model, data)), WARMUP, target_accept=0.97)
    _, kept = kernel.advance(kernel.init(starts, jax.random.split(key, len(starts))), WARMUP + SHAPE[1])
    kept = jax.tree.map(lambda values: values[WARMUP:].swapaxes(0, 1), kept)
    return kept.position, {"diverging": kept.diverging, "energy": kept.energy}


def _modes(
    model: DensityModel, potential: Callable[[Array], Array], key: PRNGKeyArray
) -> tuple[Mixture, dict[str, Shaped[Array, ""]]]:
    """Where the search for proposals begins, how many modes were found, and whether the searches converged."""
    starts = model.space.flatten(model.space.unconstrain(model.space.sample(key, STARTS)))
    best = apart(starts, jax.vmap(potential)(starts))
    found = modes_from(autodiff_value_grad_hess(potential), best)
    return at_modes(found), {"modes": count_modes(found), "converged": all_converged(found)}


def _potential(model: DensityModel, data: dict[str, Array], flat: Float[Array, " dim"]) -> Float[Array, ""]:
    """Minus the log posterior density of unconstrained parameters."""
    z = model.space.unflatten(flat)
    return -model.space.log_density(z) - model.log_likelihood(model.space.constrain(z), data)
