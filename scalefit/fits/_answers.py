"""What draws answer: optima along compute, losses of new runs, and predictive densities."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, overload

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from scalefit._precision import precision
from scalefit._quantities import at_budget
from scalefit.costs.measured import for_draws, with_table
from scalefit.fits._draws import Draws
from scalefit.fits.predictive import label_losses, log_loss_draws, log_predictive_density
from scalefit.frontier.frontier import Frontier, frontier
from scalefit.frontier.optimum import check_trades, trades
from scalefit.io.read import read_inputs
from scalefit.runs import Runs, refuse_other_unit
from scalefit.sampling.discrepancy_posterior import CHAINS
from scalefit.units import distinct_labels, positive_budgets

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, eq=False, repr=False)
class Answers(Draws):
    """Draws, and the numbers that can be asked of them."""

    def law_only_quantities(self) -> dict[str, np.ndarray]:
        """What health is assessed on beside the parameters: `law_derived`, and the optimum at the largest compute."""
        return self.law_derived | (self.optima(discrepancy=False) if trades(self.model.law) else {})

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
        shape = next(iter(self.draws.values())).shape
        return {
            at_budget(name, label): values.reshape(CHAINS if discrepancy else shape[0], -1)
            for index, label in enumerate(distinct_labels(front.flops))
            for name, values in front.optimum(index).items()
        }

    def frontier(self, budgets: Any, discrepancy: bool | None = None, cost: Any = None, **fixed: Any) -> Frontier:
        """The compute-optimal N, D and loss at each budget, per draw.

        Parameters
        ----------
        budgets
            FLOP, one or many.
        discrepancy
            True includes the discrepancy, False gives the law alone, None does as the model has it.
        cost
            A `costs.Compute`; what the table shows by default, `costs.SixND()` is 6 N D whatever that is.
        **fixed
            The law's inputs beyond params and tokens, such as unique_tokens, each a number or one a draw.

        Raises
        ------
        QuestionError
            The law has no allocation, needs an input that is not given, or has no discrepancy that is asked for.
        """
        check_trades(self.model.law, fixed)
        flops = positive_budgets(budgets)
        theta, paths = self.joint_draws(discrepancy)
        count = len(next(iter(theta.values())))
        priced = for_draws(with_table(cost, self.runs, count, self.seed), count, self.seed)
        front = frontier(self.model.law, theta, flops, self.compute_range, fixed, paths, priced)
        return replace(front, loss_unit=self.runs.unit)

    @overload
    def predict(
        self,
        new_runs: Any,
        noise: bool = ...,
        discrepancy: bool | None = ...,
        seed: int | None = ...,
        labelled: Literal[False] = ...,
    ) -> Float[np.ndarray, "draw run"]: ...
    @overload
    def predict(
        self,
        new_runs: Any,
        noise: bool = ...,
        discrepancy: bool | None = ...,
        seed: int | None = ...,
        *,
        labelled: Literal[True],
    ) -> "xr.DataArray": ...
    def predict(
        self,
        new_runs: Any,
        noise: bool = True,
        discrepancy: bool | None = None,
        seed: int | None = None,
        labelled: bool = False,
    ) -> Any:
        """Draws of the loss of new runs.

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
        labelled
            True for an xarray.DataArray.

        Returns
        -------
        array (draw, run) or xarray.DataArray
            In the table's unit of loss. The labelled array is called "loss", has the law's inputs as coordinates of
            `run`, and the attributes units, long_name, noise and discrepancy (0 or 1).

        Raises
        ------
        DataError
            An input is missing, or N is counted by another convention than the fit's.
        QuestionError
            A discrepancy is asked for, and there is none.
        """
        inputs = read_inputs(new_runs, self.model.law.inputs, self.runs.convention, self.mean_cost)
        theta, paths = self.joint_draws(discrepancy)
        with precision():
            arrays = jax.tree.map(jnp.asarray, (theta, inputs, paths))
            expected = np.exp(np.asarray(log_loss_draws(self.model, *arrays)))
        loss = self.add_noise(expected, seed, discrepancy) if noise else expected
        return label_losses(loss, inputs, noise, self.resolve(discrepancy), self.runs.unit) if labelled else loss

    def add_noise(
        self, loss: Float[np.ndarray, "draw ..."], seed: int | None = None, discrepancy: bool | None = None
    ) -> Float[np.ndarray, "draw ..."]:
        """The loss that one run would log, for each draw of an expected loss.

        Parameters
        ----------
        loss
            Expected, in the order of `joint_draws`.
        seed
            The fit's own by default.
        discrepancy
            Whether the draws of the loss are those with discrepancy, as for `predict`.

        Returns
        -------
        array (draw, ...)
            In the unit of the loss.
        """
        theta, _ = self.joint_draws(discrepancy)
        # Its own stream: the fit's seed alone is what paths of the discrepancy are drawn from.
        rng = np.random.default_rng([self.seed if seed is None else seed, 1])
        with np.errstate(over="ignore"):  # tails as heavy as some draws have leave the range of numbers
            return np.exp(self.model.noise.sample(theta, np.log(loss), rng))

    def log_density(self, new_runs: Runs, discrepancy: bool | None = None) -> Float[np.ndarray, " run"]:
        """Log predictive density of the ln loss of each new run.

        Parameters
        ----------
        new_runs
            Runs with their losses.
        discrepancy
            As for `predict`.

        Returns
        -------
        array (run,)
            ln of the mean over draws of the density, noise included.
        """
        refuse_other_unit(self.runs.unit, new_runs.unit, new_runs.name)
        theta, paths = self.joint_draws(discrepancy)
        inputs = read_inputs(new_runs, self.model.law.inputs, self.runs.convention, self.mean_cost)
        with precision():
            theta, inputs, paths = jax.tree.map(jnp.asarray, (theta, inputs, paths))
            expected, log_loss = log_loss_draws(self.model, theta, inputs, paths), jnp.log(jnp.asarray(new_runs.loss))
            return np.asarray(log_predictive_density(self.model, theta, expected, log_loss))
