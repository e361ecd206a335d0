"""Fit: draws of a model's parameters, where they came from, and what can be asked of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._precision import precision
from scalefit.diagnostics.checks import Health
from scalefit.diagnostics.convergence import chain_table, superchains
from scalefit.errors import OptionError, QuestionError
from scalefit.fits.predictive import log_loss_draws, log_predictive_density
from scalefit.frontier.frontier import Frontier, frontier
from scalefit.frontier.optimum import trades
from scalefit.io.read import read_inputs
from scalefit.model.model import BoundModel, Model
from scalefit.runs import Runs
from scalefit.sampling.discrepancy_posterior import SHAPE, DiscrepancyPosterior, sample_discrepancy_posterior
from scalefit.units import distinct_labels, positive_budgets

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


Kind = Literal["posterior", "bootstrap", "point"]


@dataclass(frozen=True, eq=False)
class Fit:
    """The result of every engine.

    draws : name -> (chain, draw), parameters of law and noise in raw units (counts, nats per token).
    kind : "posterior", "bootstrap" or "point" (one draw). stats : the sampler's own numbers, each (chain, draw).
    engine : how the draws were made, in words; seed, versions : what repeats them.
    health : verdict, numbers and a sentence for each check.
    """

    draws: dict[str, np.ndarray]
    kind: Kind
    model: Model
    runs: Runs
    stats: dict[str, np.ndarray]
    engine: str
    seed: int
    versions: dict[str, str]
    health: Health

    def __repr__(self) -> str:
        return (
            f"<Fit {self.kind}: {self.model.law.name} law, {self.model.noise.name} noise, {self.engine}; "
            f"{self.runs.describe()}; health {self.health.verdict}>"
        )

    @property
    def theta(self) -> dict[str, np.ndarray]:
        """The draws with chains joined: name -> (chain * draw,)."""
        return {name: values.reshape(-1) for name, values in self.draws.items()}

    @property
    def compute_range(self) -> tuple[float, float]:
        """Compute of the smallest and the largest run in the data, FLOP."""
        return float(self.runs.flops.min()), float(self.runs.flops.max())

    @cached_property
    def bound(self) -> BoundModel:
        """The model bound to the table it was fitted to."""
        return self.model.bind(self.runs)

    def summary(
        self, prob: float = 0.9, budgets: Any = None, discrepancy: bool | None = None, **fixed: Any
    ) -> "pd.DataFrame":
        """The law's parameters, then the optimum at each budget.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.
        budgets
            FLOP; the largest run's compute by default.
        discrepancy
            Whether the optima include the discrepancy, as for `frontier`. Parameters never do: they are those of the
            law-only posterior.
        **fixed
            The law's inputs beyond params and tokens, as for `frontier`.

        Returns
        -------
        pandas.DataFrame
            Rows: parameters and the exponents that follow from them, then N_opt, D_opt, tokens_per_param and loss at
            each budget. Columns: median, lower, upper, ess_bulk, ess_tail, r_hat, mcse_median, and posterior, which
            says "law only" or "with discrepancy".
        """
        import pandas as pd

        law_only = chain_table({**self.draws, **self.law_derived}, prob, superchains(self.stats))
        law_only["posterior"] = posterior_name(False)
        if not trades(self.model.law):
            return law_only
        discrepancy = self.resolve(discrepancy)
        optima = self.optima(budgets, discrepancy, **fixed)
        answers = chain_table(optima, prob, None if discrepancy else superchains(self.stats))
        return pd.concat([law_only, answers.assign(posterior=posterior_name(discrepancy))])

    def law_only_quantities(self) -> dict[str, np.ndarray]:
        """What health is assessed on beside the parameters: `law_derived`, and the optimum at the largest compute."""
        return self.law_derived | (self.optima(discrepancy=False) if trades(self.model.law) else {})

    @property
    def law_derived(self) -> dict[str, np.ndarray]:
        """What the law derives from its parameters, such as exponents of the frontier: name -> (chain, draw)."""
        return dict(self.model.law.derived(self.draws))

    def optima(self, budgets: Any = None, discrepancy: bool | None = None, **fixed: Any) -> dict[str, np.ndarray]:
        """N_opt, D_opt, tokens_per_param and loss at each budget, "name[budget]" -> (chain, draw).

        Parameters
        ----------
        budgets
            FLOP; the largest run's compute by default.
        discrepancy, **fixed
            As for `frontier`.

        Raises
        ------
        QuestionError
            As `frontier` does.
        """
        discrepancy = self.resolve(discrepancy)
        front = self.frontier(self.compute_range[1:] if budgets is None else budgets, discrepancy, **fixed)
        columns = {"N_opt": front.params, "D_opt": front.tokens}
        columns |= {"tokens_per_param": front.tokens_per_param, "loss": front.loss}
        shape = SHAPE if discrepancy else next(iter(self.draws.values())).shape
        return {
            f"{name}[{label}]": values[:, index].reshape(shape)
            for index, label in enumerate(distinct_labels(front.flops))
            for name, values in columns.items()
        }

    @property
    def has_discrepancy(self) -> bool:
        """Whether answers include a discrepancy unless asked not to: a posterior whose model has one has."""
        return self.kind == "posterior" and self.model.has_discrepancy and trades(self.model.law)

    def resolve(self, discrepancy: bool | None) -> bool:
        """Whether an answer includes the discrepancy: as the model has it where None.

        Raises
        ------
        QuestionError
            It is asked for, and there is none.
        """
        if discrepancy and not self.has_discrepancy:
            raise QuestionError(
                "this fit has no discrepancy: that takes a posterior, a law of params and tokens, noise with a sigma, "
                "and a model with discrepancy=sf.Discrepancy(). Leave discrepancy=True out."
            )
        return self.has_discrepancy if discrepancy is None else discrepancy

    @cached_property
    def discrepancy_posterior(self) -> DiscrepancyPosterior:
        """Draws of the law together with its discrepancy.

        Raises
        ------
        QuestionError
            The model has none.
        """
        return sample_discrepancy_posterior(self.bound, self.theta, self.seed)

    def joint_draws(self, discrepancy: bool | None) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray] | None]:
        """Parameters, name -> (draw,), and the paths of the discrepancy where the answer includes it, else None."""
        if not self.resolve(discrepancy):
            return self.theta, None
        return self.discrepancy_posterior.theta, self.discrepancy_posterior.paths

    def frontier(self, budgets: Any, discrepancy: bool | None = None, **fixed: Any) -> Frontier:
        """The compute-optimal N, D and loss at each budget, per draw.

        Parameters
        ----------
        budgets
            FLOP, one or many.
        discrepancy
            True includes the discrepancy, False gives the law alone, None does as the model has it.
        **fixed
            The law's inputs beyond params and tokens, such as unique_tokens, each a number or one a draw.

        Raises
        ------
        QuestionError
            The law has no allocation, needs an input that is not given, or has no discrepancy that is asked for.
        """
        flops = positive_budgets(budgets)
        theta, paths = self.joint_draws(discrepancy)
        return frontier(self.model.law, theta, flops, self.compute_range, fixed, paths)

    def predict(
        self, new_runs: Any, noise: bool = True, discrepancy: bool | None = None, seed: int | None = None
    ) -> np.ndarray:
        """Draws of the loss of new runs, (draw, run), nats per token.

        Parameters
        ----------
        new_runs
            Anything `read_runs` takes; a loss is not needed.
        noise
            True for the loss that one run would log, False for the expected loss.
        discrepancy
            True includes the discrepancy, False gives the law alone, None does as the model has it.
        seed
            Of the noise; the fit's own by default.

        Raises
        ------
        DataError
            An input is missing, or N is counted by another convention than the fit's.
        QuestionError
            A discrepancy is asked for, and there is none.
        """
        inputs = read_inputs(new_runs, self.model.law.inputs, self.runs.convention)
        theta, paths = self.joint_draws(discrepancy)
        with precision():
            expected = np.exp(np.asarray(log_loss_draws(self.model, *map(_as_jax, (theta, inputs, paths)))))
        return self.add_noise(expected, seed, discrepancy) if noise else expected

    def add_noise(
        self, loss: np.ndarray, seed: int | None = None, discrepancy: bool | None = None
    ) -> np.ndarray:
        """One run's loss for each draw of an expected loss, (draw, ...), in the order of `joint_draws`.

        The seed is the fit's own by default.
        """
        theta, _ = self.joint_draws(discrepancy)
        # Its own stream: the fit's seed alone is what paths of the discrepancy are drawn from.
        rng = np.random.default_rng([self.seed if seed is None else seed, 1])
        with np.errstate(over="ignore"):  # tails as heavy as some draws have leave the range of numbers
            return np.exp(self.model.noise.sample(theta, np.log(loss), rng))

    def log_density(self, new_runs: Runs, discrepancy: bool | None = None) -> np.ndarray:
        """Log predictive density of each new run's ln loss, (run,): averaged over draws, noise included.

        The discrepancy is as for `predict`.
        """
        theta, paths = self.joint_draws(discrepancy)
        inputs = read_inputs(new_runs, self.model.law.inputs, self.runs.convention)
        with precision():
            expected = log_loss_draws(self.model, *map(_as_jax, (theta, inputs, paths)))
            log_loss = jnp.log(jnp.asarray(new_runs.loss))
            return np.asarray(log_predictive_density(self.model, _as_jax(theta), expected, log_loss))

    def save(self, path: str | Path) -> Path:
        """Write the fit to one netCDF file; see `scalefit.fits.netcdf.save`."""
        from scalefit.fits.netcdf import save

        return save(self, path)

    def to_datatree(self) -> "xr.DataTree":
        """The fit as an ArviZ DataTree; see `scalefit.fits.netcdf.to_datatree`."""
        from scalefit.fits.netcdf import to_datatree

        return to_datatree(self)


def check_fit(value: Any) -> None:
    """Raise `FitError` on what is no fit: a table, or the name of a file."""
    if not isinstance(value, Fit):
        make = {Runs: "make one with sf.fit(runs)", str: "read one with sf.load(path)"}
        raise OptionError(
            f"a fit is wanted here, not {type(value).__name__}; {make.get(type(value), 'sf.fit(runs) makes one')}."
        )


def posterior_name(discrepancy: bool) -> str:
    """How tables and sentences call the draws of an answer."""
    return "with discrepancy" if discrepancy else "law only"


def _as_jax(values: Mapping[str, np.ndarray] | None) -> dict[str, Array] | None:
    return values and {name: jnp.asarray(value) for name, value in values.items()}
