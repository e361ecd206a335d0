"""Model = law + noise + priors; bound to a table it is a NumPyro model in centred, unit-free coordinates."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._numerics import precision
from scalefit.errors import DataError, ModelError
from scalefit.laws import Law, Param, Prior, find_law
from scalefit.noise import Noise, StudentT, find_noise
from scalefit.runs import Runs

Theta = dict[str, Any]
ROWS = 128  # tables are padded to a multiple of this, so that 230 and 240 runs share their compiled programs


class Data(NamedTuple):
    """What the density is evaluated on, each (padded run,): inputs and ln loss in units of their geometric means.

    weight : how often each run counts: 1 for a table as it is, 0 for padding; a bootstrap resample has other counts.
    unit : those geometric means, scalars by name.
    """

    x: dict[str, Array]
    log_loss: Array
    weight: Array
    unit: dict[str, Array]


@dataclass(frozen=True)
class Model:
    """A scaling law, the noise around it, and priors over both.

    law : what the expected loss is; noise : how ln loss scatters around ln law; either may be given by name.
    priors : overrides by parameter name, as `Prior` or a scalar NumPyro distribution, in the coordinates of
        `Law.rescale`: inputs and loss in units of the table's geometric means, so that they carry no unit.

    A model is hashable and holds no data. Raises `ModelError` where an override names no parameter.
    """

    law: Law = field(default_factory=lambda: find_law("chinchilla"))
    noise: Noise = field(default_factory=StudentT)
    priors: Any = ()

    def __post_init__(self) -> None:
        if isinstance(self.law, str):
            object.__setattr__(self, "law", find_law(self.law))
        if isinstance(self.noise, str):
            object.__setattr__(self, "noise", find_noise(self.noise))
        given = dict(self.priors)
        known = {p.name for p in (*self.law.params(), *self.noise.params())}
        if unknown := sorted(set(given) - known):
            raise ModelError(f"no parameter is called {', '.join(unknown)}; there are {', '.join(sorted(known))}.")
        priors = {k: v if isinstance(v, Prior) else Prior.from_numpyro(v) for k, v in given.items()}
        object.__setattr__(self, "priors", tuple(sorted(priors.items())))

    def params(self) -> tuple[Param, ...]:
        """Parameters of law, then noise, with the priors in force."""
        override = dict(self.priors)
        return tuple(
            replace(p, prior=override.get(p.name, p.prior)) for p in (*self.law.params(), *self.noise.params())
        )

    def log_mean(self, theta: Theta, x: Mapping[str, Array]) -> Array:
        """Expected ln loss of every run, (run,): the law's, and the place where its own error will be added."""
        return jnp.log(jax.vmap(self.law.loss, in_axes=(None, 0))(theta, dict(x)))

    def numpyro_model(self, x: Mapping[str, Array], log_loss: Array | None = None, weight: Array | float = 1.0) -> None:
        """The NumPyro model: one sample site a parameter, and `log_loss` observed for every run."""
        import numpyro

        theta = {p.name: numpyro.sample(p.name, p.prior.distribution()) for p in self.params()}
        mean = self.log_mean(theta, x)
        counts = jnp.asarray(weight) > 0
        # NumPyro scales by positive numbers only: weightless runs are masked instead.
        masked, scaled = (
            numpyro.handlers.mask(mask=counts),
            numpyro.handlers.scale(scale=jnp.where(counts, weight, 1.0)),
        )
        with numpyro.plate("run", len(mean)), masked, scaled:
            numpyro.sample("log_loss", self.noise.distribution(theta, mean), obs=log_loss)

    def potential(self, z: Theta, data: Data) -> Array:
        """Minus the log posterior density of unconstrained parameters, up to a constant."""
        from numpyro.infer.util import potential_energy

        return potential_energy(self.numpyro_model, (data.x, data.log_loss, data.weight), {}, z)

    def constrain(self, z: Theta) -> Theta:
        """From the whole real line to each prior's support, for the parameters given."""
        from numpyro.distributions.transforms import biject_to

        return {p.name: biject_to(p.prior.distribution().support)(z[p.name]) for p in self.params() if p.name in z}

    def unconstrain(self, theta: Theta) -> Theta:
        """The inverse of `constrain`."""
        from numpyro.distributions.transforms import biject_to

        supports = {p.name: p.prior.distribution().support for p in self.params() if p.name in theta}
        return {name: biject_to(support).inv(theta[name]) for name, support in supports.items()}

    def log_likelihood(self, theta: Theta, data: Data) -> Array:
        """Log density of every run's ln loss, (run,), whatever its weight."""
        return self.noise.distribution(theta, self.log_mean(theta, data.x)).log_prob(data.log_loss)

    def log_prior(self, theta: Theta) -> Theta:
        """Log prior density of every parameter, by name."""
        return {p.name: p.prior.distribution().log_prob(theta[p.name]) for p in self.params()}

    def sample_prior(self, key: Array, draws: int) -> Theta:
        """Draws from the prior, name -> (draw,), in unit-free coordinates."""
        keys = jax.random.split(key, len(self.params()))
        return {p.name: p.prior.distribution().sample(k, (draws,)) for p, k in zip(self.params(), keys, strict=True)}

    def simulate(self, theta: Theta, inputs: Mapping[str, Any], seed: int = 0) -> np.ndarray:
        """Losses of new runs, (run,), with noise: what this model says could be seen.

        theta : raw parameters of law and noise; inputs : name -> (run,), raw. The same seed, the same losses.
        """
        with precision():
            x = {name: jnp.asarray(inputs[name], dtype=float) for name in self.law.inputs}
            noise = self.noise.distribution(theta, self.log_mean(theta, x))
            return np.exp(np.asarray(noise.sample(jax.random.PRNGKey(seed))))

    def bind(self, runs: Runs) -> "BoundModel":
        """Check that the table can carry this model, and centre its coordinates.

        Raises `DataError` where a column is missing, there are fewer runs than parameters, or an input does not
        vary.
        """
        _check_design(self, runs)
        columns = {name: np.asarray(runs[name], dtype=float) for name in (*self.law.inputs, "loss")}
        unit = {name: float(np.exp(np.log(values).mean())) for name, values in columns.items()}
        return BoundModel(self, runs, unit)


@dataclass(frozen=True, eq=False)
class BoundModel:
    """A model and a table: `unit` holds the geometric mean of each input and of the loss."""

    model: Model
    runs: Runs
    unit: Mapping[str, float]

    @property
    def data(self) -> Data:
        """What the density is evaluated on, padded with weightless rows; made inside the precision in force."""
        rows = np.pad(np.arange(len(self.runs)), (0, -len(self.runs) % ROWS), mode="edge")
        x = {name: jnp.asarray((self.runs[name] / self.unit[name])[rows]) for name in self.model.law.inputs}
        log_loss = jnp.log(jnp.asarray((self.runs.loss / self.unit["loss"])[rows]))
        weight = jnp.asarray(np.arange(len(rows)) < len(self.runs), dtype=log_loss.dtype)
        return Data(x, log_loss, weight, {name: jnp.asarray(value) for name, value in self.unit.items()})

    def to_raw(self, theta: Theta) -> Theta:
        """From unit-free coordinates to raw counts and nats; noise parameters stay."""
        return self.model.law.rescale(theta, self.unit)

    def to_unit(self, theta: Theta) -> Theta:
        """The inverse of `to_raw`."""
        return self.model.law.rescale(theta, {name: 1 / value for name, value in self.unit.items()})


def _check_design(model: Model, runs: Runs) -> None:
    needed = len(model.params())
    if len(runs) < needed:
        raise DataError(
            f"{runs.name}: {len(runs)} runs cannot carry the {needed} parameters of the {model.law.name} law with "
            f"{model.noise.name} noise; add runs."
        )
    for name in model.law.inputs:
        values = np.log(np.asarray(runs[name], dtype=float))
        if np.ptp(values) < 1e-6:
            raise DataError(
                f"{runs.name}: {name} are the same in every run, so their effect on the loss cannot be seen; "
                f"add runs with other {name}."
            )
