"""Model = law + noise + priors; bound to a table it is a NumPyro model in centred, unit-free coordinates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._aot import cached_jit
from scalefit._batching import padded_rows
from scalefit._precision import precision
from scalefit._random import prng_key
from scalefit.errors import DataError, OptionError, QuestionError
from scalefit.laws import Law, Param, ParamSpace, Prior, find_law
from scalefit.model.data import Data, Theta, over_tiles
from scalefit.model.discrepancy import Discrepancy, Evidence, coordinates, pivots
from scalefit.model.noise import Noise, StudentT, find_noise
from scalefit.runs import Runs

T = TypeVar("T")
LEARNED_ON = ("E", "A", "B", "alpha", "beta")  # laws that extend E + A/N^alpha + B/D^beta keep its names
ROWS = 128  # tables are padded to a multiple of this, so that 230 and 240 runs share their compiled programs


@dataclass(frozen=True)
class Model:
    """A scaling law, the noise around it, and priors over both.

    law : what the expected loss is; noise : how ln loss scatters around ln law; either may be given by name.
    priors : overrides by parameter name, as `Prior` or a scalar NumPyro distribution, in the coordinates of
        `Law.rescale`: inputs and loss in units of the table's geometric means, so that they carry no unit.
    discrepancy : the scales of the law's own error, which answers of kind `form` carry; None leaves it out.

    A model is hashable and holds no data. Raises `OptionError` where an override names no parameter.
    """

    law: Law = field(default_factory=lambda: find_law("chinchilla"))
    noise: Noise = field(default_factory=StudentT)
    priors: Any = ()
    discrepancy: Discrepancy | None = field(default_factory=Discrepancy)

    def __post_init__(self) -> None:
        if isinstance(self.law, str):
            object.__setattr__(self, "law", find_law(self.law))
        if isinstance(self.noise, str):
            object.__setattr__(self, "noise", find_noise(self.noise))
        given = dict(self.priors)
        known = {p.name for p in (*self.law.params(), *self.noise.params())}
        if unknown := sorted(set(given) - known):
            raise OptionError(f"no parameter is called {', '.join(unknown)}; there are {', '.join(sorted(known))}.")
        priors = {k: v if isinstance(v, Prior) else Prior.from_numpyro(v) for k, v in given.items()}
        object.__setattr__(self, "priors", tuple(sorted(priors.items())))

    def params(self) -> tuple[Param, ...]:
        """Parameters of law, then noise, with the priors in force."""
        override = dict(self.priors)
        return tuple(
            replace(p, prior=override.get(p.name, p.prior)) for p in (*self.law.params(), *self.noise.params())
        )

    @cached_property
    def space(self) -> ParamSpace:
        """What the parameters of law, then noise, span."""
        return ParamSpace(self.params())

    @cached_property
    def law_space(self) -> ParamSpace:
        """What those of the law span."""
        return ParamSpace(self.params()[: len(self.law.params())])

    @property
    def with_discrepancy_priors(self) -> "Model":
        """The model as its law's own error is sampled with it: the exponents have the priors learned for that.

        A prior given by the user stays. The scales are not in it: they are the basis's.
        """
        return replace(self, priors=self.discrepancy_priors | dict(self.priors), discrepancy=None)

    @property
    def discrepancy_priors(self) -> dict[str, Prior]:
        """Of the exponents beside the law's own error, by name; none for laws whose exponents mean something else."""
        same = set(LEARNED_ON) <= {p.name for p in self.law.params()}
        return self.discrepancy.priors if self.discrepancy and same else {}

    @property
    def evidence(self) -> Evidence | None:
        """What intervals with the law's own error were found worth, where these scales were tested."""
        return self.discrepancy.evidence if self.discrepancy else None

    @property
    def has_discrepancy(self) -> bool:
        """Whether the law's own error can be part of it: it has scales, and the noise a sigma to tell it from."""
        return self.discrepancy is not None and "sigma" in {p.name for p in self.noise.params()}

    def log_mean(self, theta: Theta, x: Mapping[str, Array]) -> Array:
        """Expected ln loss of every run, (run,): the law's, and the place where its own error will be added."""
        return jnp.log(jax.vmap(self.law.loss, in_axes=(None, 0))(theta, dict(x)))

    def numpyro_model(
        self,
        x: Mapping[str, Array],
        log_loss: Array | None = None,
        weight: Array | float = 1.0,
        basis: Array | None = None,
    ) -> None:
        """The NumPyro model: one sample site a parameter, and `log_loss` observed for every run.

        basis : (run, pivot), where the law's own error is part of it, of `BoundModel.basis`.
        """
        import numpyro

        theta = {p.name: numpyro.sample(p.name, p.prior.distribution()) for p in self.params()}
        mean = self.log_mean(theta, x)
        if basis is not None:
            standard = numpyro.distributions.Normal().expand([basis.shape[1]]).to_event(1)
            mean = mean + basis @ numpyro.sample("discrepancy", standard)
        counts = jnp.asarray(weight) > 0
        # NumPyro scales by positive numbers only: weightless runs are masked instead.
        masked, scaled = (
            numpyro.handlers.mask(mask=counts),
            numpyro.handlers.scale(scale=jnp.where(counts, weight, 1.0)),
        )
        with numpyro.plate("run", len(mean)), masked, scaled:
            numpyro.sample("log_loss", self.noise.distribution(theta, mean), obs=log_loss)

    def potential(self, z: Theta, data: Data) -> Array:
        """Minus the log posterior density of unconstrained parameters: of `numpyro_model`, written out.

        Tracing is then many times quicker than through NumPyro's handlers.
        """
        theta = self.space.constrain(z)
        log_likelihood = over_tiles(lambda tile: (tile.weight * self.log_likelihood(theta, tile)).sum(), data)
        return -self.space.log_density(z) - log_likelihood

    def log_likelihood(self, theta: Theta, data: Data) -> Array:
        """Log density of every run's ln loss, (run,), whatever its weight."""
        return self.noise.log_density(theta, data.log_loss - self.log_mean(theta, data.x))

    def simulate(self, theta: Theta, inputs: Mapping[str, Any], seed: int = 0) -> np.ndarray:
        """Losses of new runs, (run,), with noise: what this model says could be seen.

        theta : raw parameters of law and noise; inputs : name -> (run,), raw. The same seed, the same losses.
        """
        count = len(inputs[self.law.inputs[0]])
        rows = padded_rows(count, ROWS)
        with precision():
            x = {name: np.asarray(inputs[name], dtype=float)[rows] for name in self.law.inputs}
            one = {name: np.asarray(value, dtype=float)[None] for name, value in theta.items()}
            return np.exp(np.asarray(simulated(self, one, x, prng_key(seed)[None])[0]))[:count]

    def bind(self, runs: Runs) -> "BoundModel":
        """Check that the table can carry this model, and centre its coordinates.

        Raises `DataError` where a column is missing, there are fewer runs than parameters, or an input or the loss
        does not vary.
        """
        if np.ptp(np.log(runs.loss)) < 1e-6:
            raise DataError(
                f"{runs.name}: the loss is the same in every run, so nothing can be learned; check its column."
            )
        return self.on_design(runs)

    def on_design(self, runs: Runs) -> "BoundModel":
        """As `bind`, for runs whose losses are still to be simulated and count for their unit alone."""
        _check_design(self, runs)
        columns = {name: np.asarray(runs[name], dtype=float) for name in (*self.law.inputs, "loss")}
        unit = self.law.units({name: float(np.exp(np.log(values).mean())) for name, values in columns.items()})
        return BoundModel(self, runs, unit)


@cached_jit("model")
def simulated(model: Model, theta: Theta, x: Theta, keys: Array) -> Array:
    """ln loss of every table, (table, run), with noise: from parameters name -> (table,), and a key a table."""
    one = lambda draw, key: model.noise.distribution(draw, model.log_mean(draw, x)).sample(key)
    return jax.vmap(one)(theta, keys)


@dataclass(frozen=True, eq=False)
class BoundModel:
    """A model and a table: `unit` holds the geometric mean of each input and of the loss."""

    model: Model
    runs: Runs
    unit: Mapping[str, float]

    @cached_property
    def padded(self) -> np.ndarray:
        """Runs of the padded table, (padded run,): four sizes an octave."""
        return padded_rows(len(self.runs), max(ROWS, 2 ** (len(self.runs) - 1).bit_length() // 4))

    @property
    def rows(self) -> int:
        """Length of the padded table."""
        return len(self.padded)

    @property
    def data(self) -> Data:
        """What the density is evaluated on, padded with weightless rows; made inside the precision in force."""
        number = jnp.result_type(float)
        return jax.device_put(jax.tree.map(lambda leaf: leaf[0].astype(number), stacked([self])))

    @property
    def basis(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the law's own error: pivots (pivot, 2) and a basis (padded run, pivot), zero where padded.

        Raises `OptionError` where the model leaves it out, or the law has no compute and allocation to err along.
        """
        found, law = self.model.discrepancy, self.model.law
        if found is None or not self.model.has_discrepancy or not {"params", "tokens"} <= set(law.inputs):
            raise QuestionError(
                f"this model of the {law.name} law has no error of its own: it needs a law of params and tokens, noise "
                "with a sigma, and discrepancy=sf.Discrepancy()."
            )
        centres, basis = pivots(found.scales, coordinates({"params": self.runs.params, "tokens": self.runs.tokens}))
        return centres, np.pad(basis, ((0, self.rows - len(basis)), (0, 0)))

    def to_raw(self, theta: Theta) -> Theta:
        """From unit-free coordinates to raw counts and nats; noise parameters stay."""
        return self.model.law.rescale(theta, self.unit)

    def to_unit(self, theta: Theta) -> Theta:
        """The inverse of `to_raw`."""
        return self.model.law.rescale(theta, {name: 1 / value for name, value in self.unit.items()})


def stacked(bounds: Sequence[BoundModel]) -> Data:
    """The data of tables of one model and padded length, (table, padded run) each, in NumPy's float64."""
    inputs = bounds[0].model.law.inputs
    unit = {name: np.array([bound.unit[name] for bound in bounds]) for name in (*inputs, "loss")}
    rows = [bound.padded for bound in bounds]

    def column(name: str) -> np.ndarray:
        values = np.stack([bound.runs[name][at] for bound, at in zip(bounds, rows, strict=True)])
        return np.log(values / unit[name][:, None])

    weight = np.arange(len(rows[0])) < np.array([[len(bound.runs)] for bound in bounds])
    log_x: dict[str, Any] = {name: column(name) for name in inputs}
    return Data(log_x, column("loss"), weight.astype(float), unit)  # type: ignore[arg-type]


def _check_design(model: Model, runs: Runs) -> None:
    needed = len(model.params())
    if len(runs) < needed:
        raise DataError(
            f"{runs.name}: {len(runs)} runs cannot carry the {needed} parameters of the {model.law.name} law with "
            f"{model.noise.name} noise; add runs."
        )
    for name in model.law.inputs:
        values = np.asarray(runs[name], dtype=float)
        if bad := np.flatnonzero(~(np.isfinite(values) & (values > 0))).tolist():
            raise DataError(f"{runs.name}: row {bad[0] + 1}: {name} is not a positive number; correct or remove it.")
        if np.ptp(np.log(values)) < 1e-6:
            raise DataError(
                f"{runs.name}: {name} are the same in every run, so their effect on the loss cannot be seen; "
                f"add runs with other {name}."
            )
