"""Hoffmann et al.'s Approach 3 (2022, arXiv 2203.15556, section 3.3): Huber's loss on ln loss."""

from dataclasses import dataclass
from itertools import product
from typing import ClassVar, Literal, final

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit.errors import OptionError
from scalefit.infer._contracts import PointEngine
from scalefit.model.data import Data, Theta
from scalefit.model.model import Model
from scalefit.sampling.huber import Estimate, minimise_huber, search_huber, with_noise
from scalefit.sampling.starts import constrain_law, flatten_law, projected_starts

GLANCE = 10


@final
@dataclass(frozen=True)
class Huber(PointEngine):
    """Minimum of the sum of Huber's loss of ln law - ln loss, threshold `delta`.

    Parameters
    ----------
    delta
        Towards 0 it gives least absolute deviations.
    starts
        "projection" solves for the linear parameters at laws from all over the prior and polishes the best; "grid"
        takes a few steps from each of the published 4,500 points and polishes the best (the Chinchilla law only;
        exponents of 0 start at 0.01, since exponents are positive here).

    Raises
    ------
    OptionError
        An option is out of range.
    """

    delta: float = 1e-3
    starts: Literal["projection", "grid"] = "projection"

    name: ClassVar[str] = "huber"

    def __post_init__(self) -> None:
        if not self.delta > 0 or self.starts not in ("projection", "grid"):
            raise OptionError(f"{self} is out of range. Use a positive delta, and starts 'projection' or 'grid'.")

    def search(self, model: Model, data: Data) -> Estimate:
        """The lowest minimum reached."""
        deltas = sharpening(self.delta)
        if self.starts == "grid":
            found = search_huber(model, data, _descended(model, data, published_grid(model, data)), deltas, polished=32)
        else:
            found = search_huber(model, data, projected_starts(model, data), deltas)
        return with_noise(model, data, constrain_law(model, found.x), found.converged)

    def refine(self, model: Model, data: Data, start: Theta) -> Estimate:
        """The minimum next to `start`."""
        found = minimise_huber(model, data, flatten_law(model, start), jnp.asarray([self.delta]))
        return with_noise(model, data, constrain_law(model, found.x), found.converged)


def sharpening(delta: float) -> Float[Array, " stage"]:
    """Huber thresholds from smooth to `delta`, a decade a stage."""
    stages = [delta]
    while stages[0] < 3e-3:
        stages.insert(0, stages[0] * 10)
    return jnp.asarray(stages)


def published_grid(model: Model, data: Data) -> Float[Array, "4500 5"]:
    """The 4,500 starts of Hoffmann et al. 2022 (section D.2) as flat vectors."""
    if model.law.name != "chinchilla":
        raise OptionError(f"the grid of 4,500 starts is of another law than {model.law.name}. Use starts='projection'.")
    exponents, levels = (0.01, 0.5, 1.0, 1.5, 2.0), (-1.0, -0.5, 0.0, 0.5, 1.0)
    sizes = (0.0, 5.0, 10.0, 15.0, 20.0, 25.0)
    e, a, b, alpha, beta = np.array(list(product(levels, sizes, sizes, exponents, exponents))).T
    raw = {"E": np.exp(e), "A": np.exp(a), "B": np.exp(b), "alpha": alpha, "beta": beta}
    theta = model.law.rescale({k: jnp.asarray(v) for k, v in raw.items()}, {k: 1 / v for k, v in data.unit.items()})
    return jax.vmap(lambda one: flatten_law(model, one))(theta)


def _descended(model: Model, data: Data, starts: Float[Array, "start dim"]) -> Float[Array, "start dim"]:
    """Every start taken `GLANCE` steps downhill on a smooth objective, a batch at a time."""
    smooth = jnp.asarray([0.1])
    return jax.lax.map(lambda flat: minimise_huber(model, data, flat, smooth, GLANCE).x, starts, batch_size=250)
