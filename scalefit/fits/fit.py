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
from scalefit.counting import flops_6nd
from scalefit.diagnostics.checks import Health
from scalefit.diagnostics.convergence import chain_table, superchains
from scalefit.errors import OptionError, QuestionError
from scalefit.fits.predictive import _log_loss, _log_predictive
from scalefit.frontier.frontier import Frontier, frontier, is_extrapolation
from scalefit.frontier.optimum import trades
from scalefit.io.read import read_inputs
from scalefit.model.model import BoundModel, Model
from scalefit.runs import Runs
from scalefit.sampling.discrepancy_posterior import DiscrepancyPosterior, sample_discrepancy_posterior
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

    def summary(self, prob: float = 0.9, budgets: Any = None) -> "pd.DataFrame":
        """Rows: parameters, then derived quantities; at the largest budget in the data unless `budgets` (FLOP).

        Columns: median, lower, upper (equal-tailed, probability `prob`), ess_bulk, ess_tail, r_hat, mcse_median.
        """
        return fit_table(self, prob, budgets)

    def derived(self, budgets: Any = None) -> dict[str, np.ndarray]:
        """What follows from the draws, name -> (chain, draw): the law's own, and the optimum at each budget."""
        found = dict(self.model.law.derived(self.draws))
        return found | self._optima(budgets) if trades(self.model.law) else found

    def _optima(self, budgets: Any) -> dict[str, np.ndarray]:
        front = self.frontier(self.compute_range[1:] if budgets is None else budgets, kind="mean")
        columns = {"N_opt": front.params, "D_opt": front.tokens}
        columns |= {"tokens_per_param": front.tokens_per_param, "loss": front.loss}
        shape = next(iter(self.draws.values())).shape
        return {
            f"{name}[{label}]": values[:, index].reshape(shape)
            for index, label in enumerate(distinct_labels(front.flops))
            for name, values in columns.items()
        }

    @property
    def has_discrepancy(self) -> bool:
        """Whether intervals of kind "form" can be asked for: of a posterior over a law that can err by itself."""
        return self.kind == "posterior" and self.model.has_discrepancy and trades(self.model.law)

    def kind_at(self, flops: Any) -> str:
        """The interval kind of an answer at this compute (FLOP) unless another is asked for: "form" beyond the data.

        There the law's own error outgrows that of its parameters. "mean" inside, or where there is no such error.
        """
        return "form" if self.has_discrepancy and is_extrapolation(flops, self.compute_range).any() else "mean"

    @cached_property
    def discrepancy_posterior(self) -> DiscrepancyPosterior:
        """Draws of the law together with its discrepancy; raises `QuestionError` where the model has none."""
        return sample_discrepancy_posterior(self.bound, self.theta, self.seed)

    def frontier(self, budgets: Any, kind: str | None = None, **fixed: Any) -> Frontier:
        """The compute-optimal N, D and loss at each budget (FLOP), per draw.

        kind : "mean" carries parameter uncertainty only, "form" the law's own error too; by default the latter for all
        budgets where one of them lies beyond the data. fixed : the law's inputs beyond params and tokens, such as
        unique_tokens, each a number or one a draw. Raises `QuestionError` where the law has no allocation, or needs an
        input that is not given.
        """
        flops = positive_budgets(budgets)
        theta, paths = self.draws_of_kind(kind or self.kind_at(flops))
        return frontier(self.model.law, theta, flops, self.compute_range, fixed, paths)

    def draws_of_kind(self, kind: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray] | None]:
        """Parameters, name -> (draw,), and paths of the law's own error where an interval of `kind` carries it."""
        if kind not in ("mean", "form"):
            raise QuestionError(
                f"there is no interval kind {kind!r} here; choose mean (the law) or form (with its error)."
            )
        return (
            (self.theta, None)
            if kind == "mean"
            else (self.discrepancy_posterior.theta, self.discrepancy_posterior.paths)
        )

    def predict(self, new_runs: Any, kind: str | None = None, seed: int | None = None) -> np.ndarray:
        """Draws of the loss of new runs, (draw, run), nats per token.

        new_runs : anything `read_runs` takes; a loss is not needed. kind : "mean" is the law (parameter uncertainty
        only), "run" one new run (with noise, drawn from `seed`; the fit's own by default), "form" one new run of a law
        that errs by itself; by default "form" for all where one lies beyond the data, "run" inside. Raises `QuestionError`
        on another kind, `DataError` where an input is missing or N is counted by another convention than the fit's,
        `OptionError` where the model leaves the law's error out.
        """
        if kind not in (None, "mean", "run", "form"):
            raise QuestionError(f"there is no interval kind {kind!r}; choose mean (the law), run (with noise) or form.")
        inputs = read_inputs(new_runs, self.model.law.inputs, self.runs.convention)
        law = ("form" if kind == "form" else "mean") if kind else self._kind_of_runs(inputs)
        mean = self._expected(inputs, law)
        return mean if kind == "mean" else self.observed(mean, seed, law)

    def expected(self, new_runs: Any, kind: str) -> np.ndarray:
        """Draws of the loss of new runs without noise, (draw, run): kind "mean", or "form" with the law's own error."""
        return self._expected(read_inputs(new_runs, self.model.law.inputs, self.runs.convention), kind)

    def _expected(self, inputs: Mapping[str, np.ndarray], kind: str) -> np.ndarray:
        theta, paths = self.draws_of_kind(kind)
        with precision():
            return np.exp(np.asarray(_log_loss(self.model, _arrays(theta), _arrays(inputs), paths and _arrays(paths))))

    def _kind_of_runs(self, inputs: Mapping[str, np.ndarray]) -> str:
        """`kind_at` the compute of runs of these inputs."""
        return self.kind_at(flops_6nd(inputs["params"], inputs["tokens"])) if self.has_discrepancy else "mean"

    def observed(self, loss: np.ndarray, seed: int | None = None, kind: str = "mean") -> np.ndarray:
        """One run's loss for each draw of a loss of that kind, (draw, ...): with noise, from `seed` (the fit's own)."""
        theta, _ = self.draws_of_kind(kind)
        # Its own stream: the fit's seed alone is what paths of the law's own error are drawn from.
        rng = np.random.default_rng([self.seed if seed is None else seed, 1])
        with np.errstate(over="ignore"):  # tails as heavy as some draws have leave the range of numbers
            return np.exp(self.model.noise.sample(theta, np.log(loss), rng))

    def log_density(self, new_runs: Runs, kind: str = "run") -> np.ndarray:
        """Log predictive density of each new run's ln loss, (run,): averaged over draws, noise included.

        kind : as for `predict`.
        """
        theta, paths = self.draws_of_kind("form" if kind == "form" else "mean")
        inputs = read_inputs(new_runs, self.model.law.inputs, self.runs.convention)
        with precision():
            x = {name: jnp.asarray(values) for name, values in inputs.items()}
            mean = _log_loss(self.model, _arrays(theta), x, paths and _arrays(paths))
            return np.asarray(_log_predictive(self.model, _arrays(theta), mean, jnp.log(jnp.asarray(new_runs.loss))))

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


def _arrays(values: Mapping[str, np.ndarray]) -> dict[str, Array]:
    return {name: jnp.asarray(value) for name, value in values.items()}


def fit_table(fit: "Fit", prob: float = 0.9, budgets: Any = None) -> "pd.DataFrame":
    """Rows: parameters and derived quantities; columns as `Fit.summary` says."""
    return chain_table({**fit.draws, **fit.derived(budgets)}, prob, superchains(fit.stats))
