"""Kaplan against Chinchilla: one law, counted with and without embeddings.

Kaplan et al. 2020 (arXiv 2001.08361) found N_opt ~ C^0.73, Hoffmann et al. 2022 (arXiv 2203.15556) C^0.50. Pearce &
Song 2024 (arXiv 2406.12907) show most of the gap to be a way of counting: at small scale embeddings are most of a
model, and leaving them out of N and of C = 6 N D bends the very same law.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from scalefit._aot import cached_jit
from scalefit._batching import in_chunks
from scalefit._intervals import interval
from scalefit._labelled import labelled
from scalefit._precision import precision
from scalefit._quantities import ranged, write
from scalefit._results import PROB, Result
from scalefit._roots import find_root
from scalefit._tables import Table, draws_table
from scalefit.counting import FLOPS_PER_PARAM_TOKEN, OMEGA, flops_6nd, refuse_mix, to_total, tokens_for
from scalefit.errors import QuestionError
from scalefit.fits.fit import Fit, check_fit
from scalefit.frontier.optimum import PATHS, LogLoss, draw_axes, elasticities, log_loss_of, planning_draws
from scalefit.laws import Law, find_law
from scalefit.units import percent

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


KAPLAN = 0.73  # Kaplan et al. 2020, equation 1.8
COUNTED = ("non_embedding", "total")
# The study that Pearce & Song simulate: Kaplan et al.'s models, of 768 to 1.5e9 parameters without embeddings, their
# losses noted at these tokens, and the best of them taken at a hundred budgets.
SIZES = np.logspace(2.9, 9.2, 20)
TOKENS = np.logspace(6, 25, 1000)
BUDGETS = {"non_embedding": np.logspace(12.95, 20.7, 100), "total": np.logspace(14, 20.7, 100)}
PATH = np.geomspace(1, 1e12, 145)
BLOCK = 256  # draws at a time, which bounds memory


@dataclass(frozen=True, eq=False, repr=False)
class Reconciliation(Result):
    """The exponent of N_opt ~ C^a under both ways of counting, per draw of a law in total parameters.

    Parameters
    ----------
    studied
        "non_embedding", "total" -> (draw,), the exponent that a small-scale study would report; "loss" -> (draw,), that
        of its best loss against compute without embeddings.
    params
        Non-embedding sizes along the optimal path.
    flops, slope
        Way of counting -> (draw, size), the compute for which each size is optimal, and d ln N_opt / d ln C there.
    small
        Smallest and largest size of the study, non-embedding parameters.
    unconverged
        Share of the searches for an optimum, over draws and sizes, that did not converge.
    """

    studied: dict[str, np.ndarray]
    params: Float[np.ndarray, " size"]
    flops: dict[str, np.ndarray]
    slope: dict[str, np.ndarray]
    small: tuple[float, float]
    unconverged: float = 0.0

    def headline(self, prob: float = PROB) -> str:
        """The exponent of a small-scale study under both ways of counting."""
        without, total = (interval(self.studied[name], prob) for name in COUNTED)
        how = "" if np.isnan(total[1]) else f" ({percent(prob)} intervals)"
        return (
            f"A study of small models finds N_opt ~ C^a with a = {ranged(without, write)} without embeddings, and "
            f"a = {ranged(total, write)} when it counts all parameters{how}."
        )

    def summary(self, prob: float = PROB) -> "pd.DataFrame":
        """Exponents that a small-scale study reports.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.

        Returns
        -------
        pandas.DataFrame
            Rows: a without embeddings, a in total, and the exponent of the loss without embeddings. Columns: median,
            lower, upper.
        """
        return self._table(prob).frame()

    def to_xarray(self) -> "xr.Dataset":
        """Exponents over `draw`, and the optimal path over (counting, draw, size).

        Returns
        -------
        xarray.Dataset
            Variables: a (counting, draw), loss_exponent (draw), flops and slope (counting, draw, size). Coordinates:
            counting, "non_embedding" or "total"; size, non-embedding parameters.
        """
        path = ("counting", "draw", "size")
        variables: dict[str, Any] = {
            "a": (path[:2], np.stack([self.studied[name] for name in COUNTED])),
            "loss_exponent": ("draw", self.studied["loss"]),
            "flops": (path, np.stack([self.flops[name] for name in COUNTED])),
            "slope": (path, np.stack([self.slope[name] for name in COUNTED])),
        }
        coords = {"counting": ("counting", list(COUNTED)), "size": ("size", self.params)}
        return labelled(variables, coords, {"unconverged": self.unconverged}, {"size": "parameters"})

    def _table(self, prob: float) -> Table:
        rows = {
            "a, without embeddings": self.studied["non_embedding"],
            "a, in total": self.studied["total"],
            "loss, without embeddings": self.studied["loss"],
        }
        return replace(draws_table(rows, prob), of="exponent")


def reconcile(
    source: Fit | Mapping[str, float] | None = None,
    sizes: Any = SIZES,
    omega: float = OMEGA,
    discrepancy: bool | None = None,
) -> Reconciliation:
    """Count one law with and without embeddings, as Kaplan et al. and Hoffmann et al. did.

    Parameters
    ----------
    source
        A fit to total parameters, whose draws give intervals; or constants of the Chinchilla law by name, its first
        published ones by default.
    sizes
        The models of the simulated study, non-embedding parameters, (size,).
    omega
        `counting.embedding_scale` of the models; Pearce & Song's by default.
    discrepancy
        As for `Fit.predict`; constants have none.

    Returns
    -------
    Reconciliation
        The study takes the best of `sizes` at each budget, as Pearce & Song's does, which moves its exponents by about
        0.005; `slope` is exact.

    Raises
    ------
    DataError
        The fit is to other parameters than total ones.
    QuestionError
        The law has no allocation, constants are missing, or there are fewer than three sizes.

    References
    ----------
    Pearce & Song 2024 (arXiv 2406.12907).
    """
    law, theta, paths = _law_and_draws(source, discrepancy)
    sizes = np.sort(np.atleast_1d(np.asarray(sizes, dtype=float)))
    if len(sizes) < 3 or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise QuestionError("a study needs three sizes or more. Give positive numbers of non-embedding parameters.")
    theta = {name: np.atleast_1d(values) for name, values in theta.items()}
    with precision():
        draws = _one_axis(planning_draws(law, theta, {}, paths))
        size = min(BLOCK, len(jax.tree.leaves(draws)[0]))
        found = in_chunks(partial(_study, law, sizes, omega), draws, size)
        along = in_chunks(partial(_path, law, jnp.asarray(np.log(PATH)), omega), draws, size)
    studied, path = ({name: np.asarray(values) for name, values in each.items()} for each in (found, along))
    flops = {name: path[f"flops_{name}"] for name in COUNTED}
    slope = {name: path[f"slope_{name}"] for name in COUNTED}
    lost = 1 - float(np.mean([path[f"converged_{name}"] for name in COUNTED]))
    if lost > 0.5:
        raise QuestionError(
            f"the search for the optimal tokens did not converge in {lost:.0%} of the draws. Check the fit's health."
        )
    small = float(sizes[0]), float(sizes[-1])
    return Reconciliation(studied, params=PATH, flops=flops, slope=slope, small=small, unconverged=lost)


def _law_and_draws(
    source: Any, discrepancy: bool | None
) -> tuple[Law, Mapping[str, Any], Mapping[str, np.ndarray] | None]:
    if isinstance(source, Fit):
        refuse_mix("total", source.runs.convention, source.runs.name)
        return source.model.law, *source.joint_draws(discrepancy)
    if not isinstance(source, Mapping | None):
        check_fit(source)
    law = find_law("chinchilla")
    theta = law.reference()[0].theta if source is None else source
    if missing := [p.name for p in law.params() if p.name not in theta]:
        raise QuestionError(f"constants of the chinchilla law lack {', '.join(missing)}. Give them by name, or a fit.")
    return law, theta, None


def _one_axis(draws: dict[str, Any]) -> dict[str, Any]:
    """The same with what all draws share repeated for each."""
    count = len(next(iter(draws.values())))
    every = lambda axis, leaf: leaf if axis == 0 else jnp.broadcast_to(leaf, (count, *leaf.shape))
    return jax.tree.map(every, draw_axes(draws), draws, is_leaf=lambda axis: axis is None)


def _study(law: Law, sizes: Float[np.ndarray, " size"], omega: float, draws: dict[str, Any]) -> dict[str, Array]:
    """The exponents that a study of `sizes` would report, name -> (draw,)."""
    total, found = to_total(sizes, omega), {}
    for name, counted in (("non_embedding", sizes), ("total", total)):
        budgets = BUDGETS[name][:, None]
        # At each budget every model is seen at the noted tokens nearest to what the budget buys; NaN before the first.
        nearest = TOKENS[np.abs(flops_6nd(counted, TOKENS[:, None, None]) - budgets).argmin(axis=0)]
        tokens = np.where(tokens_for(budgets, counted) < TOKENS[0], np.nan, nearest)
        best_log_n, best_loss = _best(law, draws, *(jnp.log(jnp.asarray(v)) for v in (total, tokens, counted)))
        found[name] = _slope(np.log(BUDGETS[name]), best_log_n)
        if name == "non_embedding":
            found["loss"] = _slope(np.log(BUDGETS[name]), jnp.log(best_loss))
    return found


@cached_jit("law")
def _best(
    law: Law,
    draws: dict[str, Any],
    log_total: Float[Array, " size"],
    log_tokens: Float[Array, "budget size"],
    log_n: Float[Array, " size"],
) -> tuple[Float[Array, "draw budget"], Float[Array, "draw budget"]]:
    """ln N, as the study counts it, and loss of the best model at each budget; NaN tokens are of models not seen."""

    def one(theta: dict[str, Any]) -> tuple[Array, Array]:
        one_run = log_loss_of(law, theta)
        loss = (jnp.vectorize(one_run) if PATHS in theta else one_run)(log_total, log_tokens)
        return log_n[jnp.nanargmin(loss, axis=1)], jnp.nanmin(loss, axis=1)

    return jax.lax.map(one, draws)


def _slope(x: Float[np.ndarray, " point"], y: Float[Array, "draw point"]) -> Float[Array, " draw"]:
    """Least-squares slope of each row of y on x."""
    centred = x - x.mean()
    return (y * centred).sum(axis=1) / (centred**2).sum()


@cached_jit("law")
def _path(law: Law, log_n: Float[Array, " size"], omega: Any, draws: dict[str, Any]) -> dict[str, Array]:
    """Where each size is optimal, and the local slope there, by way of counting: name -> (draw, size)."""
    log_total = jnp.log(to_total(jnp.exp(log_n), omega))

    def one(theta: dict[str, Any], log_n: Array, log_total: Array) -> dict[str, Array]:
        loss = log_loss_of(law, theta)
        without: LogLoss = lambda log_n, log_d: loss(jnp.log(to_total(jnp.exp(log_n), omega)), log_d)
        found = {}
        for name, counted, size in (("non_embedding", without, log_n), ("total", loss, log_total)):
            log_d, slope, found[f"converged_{name}"] = _optimal_tokens(counted, size)
            found[f"flops_{name}"] = jnp.exp(jnp.log(FLOPS_PER_PARAM_TOKEN) + size + log_d)
            found[f"slope_{name}"] = slope
        return found

    over_sizes = jax.vmap(one, in_axes=(None, 0, 0))
    return jax.vmap(over_sizes, in_axes=(0, None, None))(draws, log_n, log_total)


def _optimal_tokens(
    loss: LogLoss, log_n: Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""], Bool[Array, ""]]:
    """ln D for which N is the optimum along C = 6 N D, d ln N / d ln C there, and whether the search converged.

    Where the gains of another e-fold of tokens and of parameters are equal; the slope by the implicit function theorem.
    """

    def gap(log_n: Array, log_d: Array) -> Array:
        gain_n, gain_d = elasticities(loss, log_n, log_d)
        tiny = jnp.finfo(gain_n.dtype).tiny  # a discrepancy may turn a slope
        return jnp.log(jnp.maximum(gain_d, tiny)) - jnp.log(jnp.maximum(gain_n, tiny))

    along = jax.value_and_grad(gap, argnums=1)
    low = jnp.zeros_like(log_n)
    log_d, converged = find_root(lambda log_d: along(log_n, log_d), low, 90.0 + low, log_n)
    by_n, by_d = jax.grad(gap, argnums=(0, 1))(log_n, log_d)
    return log_d, 1 / (1 - by_n / by_d), converged
