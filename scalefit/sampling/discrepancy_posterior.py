"""The posterior of a law together with its discrepancy: what a fit's answers are computed from.

Law, noise, scales and weights of the discrepancy are drawn together, a large table's on a squashed one, and paths made
of them on which the loss falls.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple
from warnings import warn

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from scalefit._aot import on_host
from scalefit._precision import precision
from scalefit.errors import FitWarning, QuestionError
from scalefit.model.data import TILE, Data
from scalefit.model.discrepancy import Discrepancy
from scalefit.model.model import BoundModel, Model
from scalefit.model.paths import AtPivots, sample_paths, values_at
from scalefit.model.squashing import squashed
from scalefit.numerics.importance import doubt, pareto_k_of
from scalefit.sampling.joint_draws import joint_draws
from scalefit.sampling.monotone import LEAST_KEPT, falling_paths
from scalefit.sampling.whole_table import reweighed

CHAINS = 4
MANY, FEW = (1000, 250), (250, 125)  # of a chain: joint draws, and paths that are kept of them, costly to evaluate
LEAST_FOR_MANY = 1000  # draws of a fit, in all


@dataclass(frozen=True, eq=False)
class DiscrepancyPosterior:
    """Draws of a law together with its discrepancy.

    Attributes
    ----------
    theta
        Raw parameters of law and noise, each (draw,).
    paths
        What `discrepancy_at` takes, each (draw, ...).
    component
        Which of the discrepancy's scales each draw has.
    pareto_k
        Of the importance weights.
    sd_at_runs
        Standard deviation of the discrepancy over the runs, in ln loss.
    doubt
        Why the draws are not to be trusted, empty where they are.
    """

    theta: dict[str, Float[np.ndarray, " draw"]]
    paths: dict[str, np.ndarray]
    component: Int[np.ndarray, " draw"]
    pareto_k: float
    sd_at_runs: Float[np.ndarray, " draw"]
    doubt: str = ""


class Sampled(NamedTuple):
    """Draws of a law with the discrepancy's weights, before there are paths.

    Attributes
    ----------
    table, counts
        What was sampled on, and how many runs each of its counts for.
    drawn, latent
        Draws of law and noise, and what was drawn with them, as `joint_draw` gives them.
    pareto_k
        The largest.
    doubt
        Why the draws are not to be trusted.
    """

    table: BoundModel
    counts: Float[np.ndarray, " run"]
    drawn: Any
    latent: Any
    pareto_k: float
    doubt: str


def sample_discrepancy_posterior(
    bound: BoundModel, theta: Mapping[str, Float[np.ndarray, "..."]], seed: int
) -> DiscrepancyPosterior:
    """Draws of a law together with its discrepancy on the runs of `bound`.

    Parameters
    ----------
    bound
        Model and runs.
    theta
        Draws of the raw parameters of law and noise, around whose median the modes are sought: those of the law alone
        serve.
    seed
        The same seed gives the same draws.

    Raises
    ------
    QuestionError
        The model has no discrepancy, or the draws are not finite.

    Warns
    -----
    FitWarning
        The draws are not to be trusted.
    """
    with precision():
        found = with_paths(bound, theta, seed, sampled_on(bound, theta, seed))
    return warned_of(found)


def warned_of(posterior: DiscrepancyPosterior) -> DiscrepancyPosterior:
    """The same, with a `FitWarning` where it is not to be trusted."""
    if posterior.doubt:
        warn(f"{posterior.doubt}, of the law with discrepancy: take its intervals as rough", FitWarning)
    return posterior


def with_paths(
    bound: BoundModel, theta: Mapping[str, Float[np.ndarray, "..."]], seed: int, sampled: Sampled
) -> DiscrepancyPosterior:
    """Paths on which the loss falls, for draws of `sampled_on`; raises `QuestionError` where these are not finite."""
    few, counts, drawn, latent, pareto_k, why = sampled
    if not all(np.isfinite(values).all() for values in (latent["weights"], *drawn.values())):
        raise QuestionError(
            f"the posterior with discrepancy of {bound.runs.name} has draws that are not finite. "
            "Remove copies of runs, or leave the discrepancy out."
        )
    raw = bound.to_raw({name: np.asarray(values, dtype=float).reshape(-1) for name, values in drawn.items()})
    weights = np.asarray(latent["weights"], dtype=float).reshape(len(raw["sigma"]), -1)
    component = np.asarray(latent["component"]).reshape(-1)
    sd_at_runs, at = np.zeros(len(weights)), pivots_of(few)
    for k in np.unique(component):
        rows = component == k
        sd_at_runs[rows] = _spread(weights[rows], few.bases[1][k, : len(counts)], counts)
    rng, values = np.random.default_rng(seed), partial(values_at, at, component)
    some_paths, count = partial(sample_paths, at, component, weights, rng), CHAINS * _a_chain(theta)[1]
    draw, paths, kept = falling_paths(few.model.law, raw, bound.runs, some_paths, values, count, rng)
    if not why and kept < LEAST_KEPT:
        why = "in few draws does the loss fall with parameters and tokens"
    theta_of = {name: values[draw] for name, values in raw.items()}
    return DiscrepancyPosterior(theta_of, paths, component[draw], pareto_k, sd_at_runs[draw], why)


def _a_chain(theta: Mapping[str, Float[np.ndarray, "..."]]) -> tuple[int, int]:
    """Joint draws and paths of a chain. Two sizes serve all fits, because each is a program of its own."""
    return MANY if np.size(next(iter(theta.values()))) >= LEAST_FOR_MANY else FEW


def pivots_of(bound: BoundModel) -> list[AtPivots]:
    """Of every set of scales of the discrepancy."""
    return [AtPivots.of(*each) for each in zip(discrepancy_of(bound).scales, bound.bases[0], strict=True)]


def discrepancy_of(bound: BoundModel) -> Discrepancy:
    """That of the model; raises `QuestionError` where it has none."""
    assert bound.bases, "a model without one is refused here"
    found = bound.model.discrepancy
    assert found is not None
    return found


def _spread(
    weights: Float[np.ndarray, "draw pivot"], basis: Float[np.ndarray, "run pivot"], counts: Float[np.ndarray, " run"]
) -> Float[np.ndarray, " draw"]:
    """Standard deviation over the runs of the discrepancy of every draw."""
    centred = basis - counts @ basis / counts.sum()
    cov = (centred.T * counts) @ centred / counts.sum()
    return np.sqrt(np.maximum(((weights @ cov) * weights).sum(axis=1), 0.0))


def sampled_on(bound: BoundModel, theta: Mapping[str, Float[np.ndarray, "..."]], seed: int) -> Sampled:
    """Draws on a table, for use inside `precision()`; a large one is squashed, less so should its few runs be a poor
    substitute."""
    middle, (model, log_prior, shape) = middle_of(bound, theta), settings_of(bound, theta)

    def sampled(table: BoundModel, data: Data) -> tuple[Any, Any, Any, str]:
        return joint_draws(model, data, table.bases[1], middle, log_prior, seed, shape)

    if not is_squashed(bound):
        drawn, latent, stats, why = sampled(bound, bound.data)
        return Sampled(bound, np.ones(len(bound.runs)), drawn, latent, pareto_k_of(stats), why)
    for finer in (0, 2):
        few, counts = squashed(bound, middle, finer)
        weight = np.pad(counts, (0, few.rows - len(counts)))
        data = few.data._replace(weight=jnp.asarray(weight, jnp.result_type(float)))
        *found, first, why = sampled(few, data)
        drawn, latent = on_host(found)
        drawn, latent, second = reweighed(bound, data, pivots_of(few), drawn, latent, seed)
        if not (why := why or doubt(second)):
            break
    return Sampled(few, counts, drawn, latent, max(map(pareto_k_of, (first, second))), why)


def is_squashed(bound: BoundModel) -> bool:
    """Whether a table is so large, and its errors so plain, that a few weighted runs stand for it."""
    return bound.rows > 2 * TILE and bound.data.is_plain and bound.model.has_discrepancy


def middle_of(bound: BoundModel, theta: Mapping[str, Float[np.ndarray, "..."]]) -> dict[str, Any]:
    """Where modes are sought first, in unit-free coordinates."""
    return bound.to_unit({name: np.median(values) for name, values in theta.items()})


def settings_of(
    bound: BoundModel, theta: Mapping[str, Float[np.ndarray, "..."]]
) -> tuple[Model, Float[np.ndarray, " component"], tuple[int, int]]:
    """Of `joint_draws`: the model, ln of the prior probabilities of its scales, and the shape of the draws."""
    sets = discrepancy_of(bound)
    return bound.model.with_discrepancy_priors, np.log(sets.probabilities), (CHAINS, _a_chain(theta)[0])
