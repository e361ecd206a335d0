"""The posterior of the loss as a pytree of draws: the one place where planning meets the law."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import register_dataclass
from jaxtyping import Float

from scalefit.costs.cost import Cost
from scalefit.costs.measured import for_draws, on_average, with_table
from scalefit.costs.uncertain import draws_of
from scalefit.fits.fit import Fit
from scalefit.frontier.optimum import PATHS, LogLoss, WithDiscrepancy, draw_axes, log_loss_of, planning_draws
from scalefit.laws import Law

ENDLESS = 1e18  # unique tokens: more than anyone has


@partial(register_dataclass, data_fields=["draws", "wall"], meta_fields=["law"])
@dataclass(frozen=True)
class LossPosterior:
    """Draws of the loss as a function of parameters and tokens; under `jax.vmap` over `axes` it is one draw.

    Parameters
    ----------
    law
        The law of all draws.
    draws
        Its `planning_draws`, name -> (draw,).
    wall
        Unique tokens beyond which further tokens change nothing, (draw,): of a law without unique tokens among its
        inputs, under which a repeated token counts for nothing. None for no such wall.
    """

    law: Law
    draws: dict[str, Any]  # and not of arrays: as a pytree it also has axes and batches for its leaves
    wall: Any = None

    @property
    def axes(self) -> Self:
        """The axis of draws of every leaf, for `jax.vmap`."""
        return replace(self, draws=draw_axes(self.draws), wall=None if self.wall is None else 0)

    @property
    def law_only(self) -> Self:
        """The same without discrepancy; itself where it has none."""
        if PATHS not in self.draws:
            return self
        return replace(self, draws={name: value for name, value in self.draws.items() if name != PATHS})

    @property
    def with_discrepancy(self) -> WithDiscrepancy:
        """`fresh_loss` of a draw that has a discrepancy."""
        loss = self.fresh_loss
        assert isinstance(loss, WithDiscrepancy), "asked of draws without discrepancy"
        return loss

    @property
    def fresh_loss(self) -> LogLoss:
        """(ln N, ln D) -> loss of one draw, before any hard wall."""
        return log_loss_of(self.law, self.draws)

    @property
    def loss(self) -> LogLoss:
        """(ln N, ln D) -> loss of one draw."""
        fresh, wall = self.fresh_loss, self.wall
        return fresh if wall is None else lambda log_n, log_d: fresh(log_n, jnp.minimum(log_d, jnp.log(wall)))

    @property
    def losses(self) -> LogLoss:
        """(ln N, ln D) -> the loss of every draw, (draw,)."""
        return lambda log_n, log_d: jax.vmap(lambda draw: draw.loss(log_n, log_d), (self.axes,))(self)

    @property
    def expected_loss(self) -> LogLoss:
        """(ln N, ln D) -> the mean over draws of the loss."""
        return lambda log_n, log_d: self.losses(log_n, log_d).mean()

    @property
    def count(self) -> int:
        """How many draws there are."""
        return len(next(iter(self.draws.values())))

    @property
    def unique(self) -> Float[Array, " draw"]:
        """The unique tokens of every draw."""
        return self.draws["unique_tokens"] if self.wall is None else self.wall

    @property
    def most_useful_tokens(self) -> float:
        """The most tokens that change the loss of any draw."""
        return np.inf if self.wall is None else float(np.asarray(self.wall).max())

    def with_unique(self, times: float | None) -> Self:
        """The same with `times` as many unique tokens, or for None with more than anyone has and no wall."""
        unique = jnp.full_like(self.unique, ENDLESS) if times is None else times * self.unique
        if self.wall is None:
            return replace(self, draws={**self.draws, "unique_tokens": unique})
        return replace(self, wall=None if times is None else unique)


def costs_of(fit: Fit, posterior: LossPosterior, cost: Cost | None) -> tuple[Cost, Cost]:
    """The cost of an answer, as it is to be shown, and as the draws decide with it.

    Parameters
    ----------
    fit, posterior
        What is asked, and its draws.
    cost
        As the user gave it; None for the compute that the table shows.
    """
    priced = with_table(cost, fit.runs, posterior.count, fit.seed)
    return on_average(priced), for_draws(priced, posterior.count, fit.seed)


def loss_posterior(
    fit: Fit, unique_tokens: Any = None, fixed: Mapping[str, Any] = MappingProxyType({}), discrepancy: bool = False
) -> LossPosterior:
    """Draws of the loss from a fit; for use inside `precision()`.

    Parameters
    ----------
    fit
        Any fit.
    unique_tokens
        An amount, where they are limited.
    fixed
        The law's inputs beyond params and tokens, as `planning_draws` takes them.
    discrepancy
        Whether the draws include it.

    Raises
    ------
    QuestionError
        The law does not trade parameters against tokens, or needs an input that is not given.
    """
    law, (theta, paths) = fit.model.law, fit.joint_draws(discrepancy)
    if unique_tokens is None:
        return LossPosterior(law, planning_draws(law, theta, fixed, paths))
    unique = draws_of(unique_tokens, len(next(iter(theta.values()))), fit.seed)
    if "unique_tokens" in law.inputs:
        return LossPosterior(law, planning_draws(law, theta, {**fixed, "unique_tokens": unique}, paths))
    return LossPosterior(law, planning_draws(law, theta, fixed, paths), jnp.asarray(unique))
