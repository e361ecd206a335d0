"""What a fit believes about the loss, as a pytree of draws: the one place where planning meets the law."""

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

from scalefit.costs.uncertain import draws_of
from scalefit.fits.fit import Fit
from scalefit.frontier.optimum import PATHS, LogLoss, draw_axes, log_loss_of, planning_draws
from scalefit.laws import Law

ENDLESS = 1e18  # unique tokens: more than anyone has


@partial(register_dataclass, data_fields=["draws", "wall"], meta_fields=["law"])
@dataclass(frozen=True)
class LossPosterior:
    """A law, its `planning_draws` by name and the unique tokens behind which it is walled in, each (draw,).

    Under `jax.vmap` it is one draw. A law of unique tokens knows what repetition is worth and has no wall. Under any
    other a unique token counts once, and a repeated one for nothing: a hard wall.
    """

    law: Law
    draws: dict[str, Array]
    wall: Array | None = None

    @property
    def axes(self) -> Self:
        """The axis of draws of every leaf, for `jax.vmap`."""
        return replace(self, draws=draw_axes(self.draws), wall=None if self.wall is None else 0)  # type: ignore[arg-type]

    @property
    def law_only(self) -> Self:
        """The same law without its own error; itself where it carries none."""
        if PATHS not in self.draws:
            return self
        return replace(self, draws={name: value for name, value in self.draws.items() if name != PATHS})

    @property
    def fresh_loss(self) -> LogLoss:
        """(ln N, ln D) -> loss in nats per token, of one draw, before any hard wall."""
        return log_loss_of(self.law, self.draws)

    @property
    def loss(self) -> LogLoss:
        """(ln N, ln D) -> loss in nats per token, of one draw."""
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
    def unique(self) -> Array:
        """The unique tokens there are, (draw,)."""
        return self.draws["unique_tokens"] if self.wall is None else self.wall

    @property
    def most_useful_tokens(self) -> float:
        """The most tokens that teach anything under any draw."""
        return np.inf if self.wall is None else float(np.asarray(self.wall).max())

    def with_unique(self, times: float | None) -> Self:
        """The same with `times` as many unique tokens; with more than anyone has where None."""
        unique = jnp.full_like(self.unique, ENDLESS) if times is None else times * self.unique
        if self.wall is None:
            return replace(self, draws={**self.draws, "unique_tokens": unique})
        return replace(self, wall=unique)


def loss_posterior(
    fit: Fit, unique_tokens: Any = None, fixed: Mapping[str, Any] = MappingProxyType({}), discrepancy: bool = False
) -> LossPosterior:
    """The fit's draws, with `unique_tokens` (an amount) where they are limited; call inside `precision()`.

    discrepancy : whether the draws include it. fixed : the law's inputs beyond params and tokens, as
    `planning_draws` takes them. Raises `QuestionError` where the law does not trade parameters against tokens, or needs an
    input that is not given.
    """
    law, (theta, paths) = fit.model.law, fit.joint_draws(discrepancy)
    if unique_tokens is None:
        return LossPosterior(law, planning_draws(law, theta, fixed, paths))
    unique = draws_of(unique_tokens, len(next(iter(theta.values()))), fit.seed)
    if "unique_tokens" in law.inputs:
        return LossPosterior(law, planning_draws(law, theta, {**fixed, "unique_tokens": unique}, paths))
    return LossPosterior(law, planning_draws(law, theta, fixed, paths), jnp.asarray(unique))
