"""Model = law + noise + discrepancy + priors; bound to a table, in centred and unit-free coordinates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from scalefit._aot import cached_jit
from scalefit._batching import padded_rows
from scalefit._precision import precision
from scalefit._random import prng_key
from scalefit.errors import DataError, OptionError, QuestionError
from scalefit.laws import Law, Param, ParamSpace, Prior, SameAs, as_prior, find_law
from scalefit.model.checking import check_design, check_level, check_priors, noise_of_table
from scalefit.model.clusters import SHARED, Layout
from scalefit.model.data import Data, Theta, over_tiles
from scalefit.model.discrepancy import Discrepancy, Evidence, coordinates, pivots
from scalefit.model.likelihood import log_densities, log_density
from scalefit.model.noise import LEAST_SIGMA, Noise, find_noise
from scalefit.model.padding import padded_tables
from scalefit.model.resolution import floor_of_noise
from scalefit.runs import Runs

DEFAULT_DISCREPANCY = Discrepancy()
LEARNED_ON = ("E", "A", "B", "alpha", "beta")  # laws that extend E + A/N^alpha + B/D^beta keep its names
ROWS = 128  # tables are padded to a multiple of this, so that 230 and 240 runs share their compiled programs


@dataclass(frozen=True, init=False)
class Model:
    """A scaling law, the noise around it, its discrepancy, and priors; hashable, without data.

    Parameters
    ----------
    law
        What the expected loss is: a law or its name.
    noise
        How ln loss scatters around that of the law: a noise or its name.
    priors
        Overrides by parameter name: a scalar NumPyro distribution or `Prior`, a number at which the parameter is fixed,
        or the name of another parameter whose value it has. In the coordinates of `Law.rescale`: inputs and loss in
        units of the table's geometric means, so that priors have no unit. `sf.nats(...)` gives one of E in the unit of
        the losses.
        Tables with clusters add sigma_cluster.
    discrepancy
        Scales of the law's discrepancy, which every answer includes; None leaves it out.

    Raises
    ------
    OptionError
        A law or noise is unknown, or an override names no parameter or is no prior of it.
    """

    law: Law
    noise: Noise
    priors: tuple[tuple[str, Prior | SameAs], ...]
    discrepancy: Discrepancy | None

    def __init__(
        self,
        law: Law | str = "chinchilla",
        noise: Noise | str = "student-t",
        priors: Mapping[str, Any] | tuple[tuple[str, Any], ...] = (),
        discrepancy: Discrepancy | None = DEFAULT_DISCREPANCY,
    ) -> None:
        law = find_law(law) if isinstance(law, str) else law
        noise = find_noise(noise) if isinstance(noise, str) else noise
        known = sorted({*(p.name for p in (*law.params(), *noise.params())), SHARED})
        given = dict(priors)
        if unknown := sorted(set(given) - set(known)):
            raise OptionError(f"no parameter is called {', '.join(unknown)}. Choose from {', '.join(known)}.")
        own = {name: as_prior(given[name]) for name in sorted(given)}
        fields = {"law": law, "noise": noise, "priors": tuple(own.items()), "discrepancy": discrepancy}
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        check_priors(law, noise, own)

    def params(self) -> tuple[Param, ...]:
        """Parameters of law, then noise, with the priors in force."""
        override = dict(self.priors)
        return tuple(
            replace(p, prior=override.get(p.name, p.prior)) for p in (*self.law.params(), *self.noise.params())
        )

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the parameters that are neither fixed nor the same as others."""
        return ParamSpace(self.params()).names

    @cached_property
    def space(self) -> ParamSpace:
        """What the parameters of law, then noise, span; raises `OptionError` where a prior is in an unknown unit."""
        if of_a_table := [name for name, prior in self.priors if isinstance(prior, Prior) and prior.unit]:
            raise OptionError(
                f"the prior of {of_a_table[0]} is in nats, which depends on a table. Give it in units of the mean loss."
            )
        return ParamSpace(self.params())

    @cached_property
    def law_space(self) -> ParamSpace:
        """What the parameters of the law span."""
        return ParamSpace(self.params()[: len(self.law.params())])

    @property
    def with_discrepancy_priors(self) -> "Model":
        """The model of law and noise beside a discrepancy: with `discrepancy_priors`, where the user gave no others."""
        return Model(self.law, self.noise, self.discrepancy_priors | dict(self.priors), discrepancy=None)

    def in_units(self, unit: Mapping[str, float], least_sigma: float = 0.0) -> "Model":
        """The same model for one table: priors in nats in units of its mean loss, and no noise below its resolution.

        Parameters
        ----------
        unit
            Of every input and of the loss.
        least_sigma
            What rounding does to ln losses.
        """
        given = dict(self.priors)
        own = {k: p.times(1 / unit["loss"]) for k, p in given.items() if isinstance(p, Prior) and p.unit}
        for sigma in (p.prior for p in self.params() if p.name == "sigma"):
            if isinstance(sigma, Prior) and sigma.free and sigma.ends[0] < least_sigma:
                own["sigma"] = replace(sigma, low=least_sigma / sigma.factor)
        return Model(self.law, self.noise, {**given, **own}, self.discrepancy) if own else self

    @property
    def discrepancy_priors(self) -> dict[str, Prior]:
        """Of the exponents beside a discrepancy, by name; none for laws whose exponents mean something else."""
        same = set(LEARNED_ON) <= {p.name for p in self.law.params()}
        return self.discrepancy.priors if self.discrepancy and same else {}

    @property
    def evidence(self) -> Evidence | None:
        """How intervals that include the discrepancy were tested, where its scales were."""
        return self.discrepancy.evidence if self.discrepancy else None

    @property
    def has_discrepancy(self) -> bool:
        """Whether a discrepancy is part of it: of a law of N and D, with a noise whose sigma tells the two apart."""
        names = {*self.law.inputs, *(p.name for p in self.noise.params())}
        return self.discrepancy is not None and names >= {"params", "tokens", "sigma"}

    def log_mean(self, theta: Theta, x: Mapping[str, Float[Array | np.ndarray, " run"]]) -> Float[Array, " run"]:
        """Expected ln loss of every run by the law, without the discrepancy."""
        return jnp.log(jax.vmap(self.law.loss, in_axes=(None, 0))(theta, dict(x)))

    def potential(self, z: Theta, data: Data) -> Float[Array, ""]:
        """Minus the log posterior density of unconstrained parameters: of `numpyro_model`, written out.

        Tracing is then many times quicker than through NumPyro's handlers.
        """
        theta = self.space.constrain(z)
        of_tile = lambda tile: log_density(self.noise, theta, tile, tile.log_loss - self.log_mean(theta, tile.x))
        return -self.space.log_density(z) - over_tiles(of_tile, data)

    def log_likelihood(self, theta: Theta, data: Data) -> Float[Array, " unit"]:
        """Log density of every run's ln loss, whatever its weight; where runs share errors, of every cluster's."""
        return log_densities(self.noise, theta, data, data.log_loss - self.log_mean(theta, data.x))

    def simulate(self, theta: Theta, inputs: Mapping[str, Any], seed: int = 0) -> Float[np.ndarray, " run"]:
        """Losses of new runs, with noise.

        Parameters
        ----------
        theta
            Raw parameters of law and noise, scalars.
        inputs
            Raw inputs by name, each (run,).
        seed
            The same seed gives the same losses.

        Returns
        -------
        numpy.ndarray
            In nats per token.
        """
        count = len(inputs[self.law.inputs[0]])
        rows = padded_rows(count, ROWS)
        with precision():
            x = {name: np.asarray(inputs[name], dtype=float)[rows] for name in self.law.inputs}
            one = {name: np.asarray(value, dtype=float)[None] for name, value in theta.items()}
            return np.exp(np.asarray(simulated(self, one, x, prng_key(seed)[None])[0]))[:count]

    def bind(self, runs: Runs) -> "BoundModel":
        """The model and a table, in centred coordinates.

        Raises
        ------
        DataError
            A column is missing, there are fewer runs than parameters, or an input or the loss does not vary.
        OptionError
            A prior puts the least loss of the law above a loss of the table.
        """
        if np.ptp(np.log(runs.loss)) < 1e-6:
            raise DataError(f"{runs.name}: the loss is the same in every run. Check its column.")
        bound = self.on_design(runs)
        check_level(self.law, dict(bound.model.priors), runs, bound.unit["loss"])
        return replace(bound, model=(bound.stated or self).in_units(bound.unit, floor_of_noise(runs.loss, LEAST_SIGMA)))

    def on_design(self, runs: Runs) -> "BoundModel":
        """As `bind`, for runs whose losses are still to be simulated and count for their unit alone."""
        noise = noise_of_table(self.noise, SHARED in dict(self.priors), runs)
        model = self if noise == self.noise else Model(self.law, noise, self.priors, self.discrepancy)
        check_design(self.law, self.noise.name, len(model.free), runs)
        columns = {name: np.asarray(runs[name], dtype=float) for name in (*self.law.inputs, "loss")}
        unit = self.law.units({name: float(np.exp(np.log(values).mean())) for name, values in columns.items()})
        return BoundModel(model.in_units(unit), runs, unit, model)


@cached_jit("model")
def simulated(
    model: Model,
    theta: Mapping[str, Float[Array | np.ndarray, " table"]],
    x: Mapping[str, Float[Array | np.ndarray, " run"]],
    keys: UInt32[Array, "table 2"],
) -> Float[Array, "table run"]:
    """ln loss of every table, with noise."""
    one = lambda draw, key: model.noise.distribution(draw, model.log_mean(draw, x)).sample(key)
    return jax.vmap(one)(theta, keys)


@dataclass(frozen=True, eq=False)
class BoundModel:
    """A model and a table.

    Parameters
    ----------
    model, runs
        What is bound; the model is that of this table, see `Model.in_units`.
    unit
        Geometric mean of each input and of the loss.
    stated
        The model as it was given, where that is another.
    """

    model: Model
    runs: Runs
    unit: Mapping[str, float]
    stated: Model | None = None

    @cached_property
    def padded(self) -> Int[np.ndarray, " padded"]:
        """Rows of the table that the padded one is made of: four lengths an octave."""
        return padded_rows(len(self.runs), max(ROWS, 2 ** (len(self.runs) - 1).bit_length() // 4))

    @property
    def rows(self) -> int:
        """Length of the padded table."""
        return len(self.padded)

    @cached_property
    def lines(self) -> Layout | None:
        """How clusters are laid out; None where runs share no error."""
        return None if self.runs.clusters is None else Layout.of(np.bincount(self.runs.clusters))

    @property
    def data(self) -> Data:
        """What the density is evaluated on, padded with weightless rows; made inside the precision in force."""
        number = jnp.result_type(float)
        one = lambda leaf: leaf[0].astype(number) if leaf.dtype.kind == "f" else leaf[0]
        return jax.device_put(jax.tree.map(one, stacked([self])))

    @cached_property
    def bases(self) -> tuple[list[np.ndarray], Float[np.ndarray, "component padded pivot"]]:
        """Coordinates of the discrepancy's pivots for each set of scales, and a basis at the runs, zero where padded.

        Raises
        ------
        QuestionError
            The model has no discrepancy, or the law no compute and allocation along which it could vary.
        """
        discrepancy = self.model.discrepancy
        if discrepancy is None or not self.model.has_discrepancy:
            raise QuestionError(
                f"the model of the {self.model.law.name} law has no discrepancy. Use a law of params and tokens, "
                "a noise with a sigma, and discrepancy=sf.Discrepancy()."
            )
        at_runs = coordinates({"params": self.runs.params, "tokens": self.runs.tokens})
        centres, bases = zip(*(pivots(scales, at_runs) for scales in discrepancy.scales), strict=True)
        return list(centres), np.pad(np.stack(bases), ((0, 0), (0, self.rows - len(self.runs)), (0, 0)))

    def to_raw(self, theta: Theta) -> Theta:
        """From unit-free coordinates to raw counts and nats; noise parameters stay."""
        return self.model.law.rescale(theta, self.unit)

    def to_unit(self, theta: Theta) -> Theta:
        """The inverse of `to_raw`."""
        return self.model.law.rescale(theta, {name: 1 / value for name, value in self.unit.items()})


def stacked(bounds: Sequence[BoundModel]) -> Data:
    """The data of tables of one model and layout, in NumPy's float64: each leaf of it (table, padded)."""
    inputs = bounds[0].model.law.inputs
    unit = {name: np.array([bound.unit[name] for bound in bounds]) for name in (*inputs, "loss")}
    return padded_tables([bound.runs for bound in bounds], inputs, unit, bounds[0].rows, bounds[0].lines)
