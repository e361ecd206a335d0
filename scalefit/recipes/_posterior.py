"""The joint posterior of several recipes: law, noise, differences, and discrepancies, drawn together.

In the linear model of `_linear` the differences are weights of a basis, as the discrepancy is, and the sampler of one
table draws law, noise, scales and weights. Differences and own discrepancies are then drawn again given the rest.
"""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from scalefit._aot import on_host
from scalefit._precision import precision
from scalefit._random import prng_key
from scalefit.errors import FitError
from scalefit.model.model import Model
from scalefit.numerics.importance import pareto_k_of
from scalefit.recipes._conditional import RecipeRows, conditional_draws
from scalefit.recipes._joint import JointTable
from scalefit.recipes._linear import Linear, linearised
from scalefit.recipes._terms import Terms
from scalefit.sampling.discrepancy_posterior import CHAINS, MANY
from scalefit.sampling.joint_draws import joint_draws
from scalefit.sampling.modes import laplace


@dataclass(frozen=True, eq=False)
class JointPosterior:
    """Draws of all recipes together.

    Attributes
    ----------
    theta
        Law and noise of the baseline, unit-free, each (draw,).
    delta
        Differences of the other recipes, as `Terms` names them, (draw, recipe, term).
    component
        Which of `JointTable.components` each draw has.
    shared, own
        Weights of the discrepancies' bases, (draw, pivot) and (draw, recipe, pivot).
    stats
        The sampler's own numbers, each (chain, draw).
    doubt
        Why the draws are not to be trusted, empty where they are.
    """

    theta: dict[str, Float[np.ndarray, " draw"]]
    delta: Float[np.ndarray, "draw recipe term"]
    component: Int[np.ndarray, " draw"]
    shared: Float[np.ndarray, "draw pivot"]
    own: Float[np.ndarray, "draw recipe pivot"]
    stats: dict[str, np.ndarray]
    doubt: str = ""

    @property
    def pareto_k(self) -> float:
        """Of the importance weights."""
        return pareto_k_of(self.stats)

    def chosen(self, draw: Int[np.ndarray, " draw"]) -> "JointPosterior":
        """Those draws, in that order."""
        return replace(
            self,
            theta={name: values[draw] for name, values in self.theta.items()},
            **{name: getattr(self, name)[draw] for name in ("delta", "component", "shared", "own")},
        )

    def with_unseen(self, terms: Terms, seed: int) -> "JointPosterior":
        """With one more recipe, of which there are no runs: its differences and discrepancy are as beforehand."""
        rng, draws = np.random.default_rng([seed, 2]), len(self.component)
        delta = rng.normal(size=(draws, 1, len(terms.sd))) * terms.sd
        own = rng.normal(size=(draws, 1, self.own.shape[2]))
        return replace(
            self, delta=np.concatenate([self.delta, delta], axis=1), own=np.concatenate([self.own, own], axis=1)
        )


def linear_point(table: JointTable, terms: Terms) -> Linear:
    """Where law and differences are linearised: the baseline's law first, then all recipes."""
    model, code = table.bound.model, table.code
    with precision():
        data, number = table.bound.data, jnp.result_type(float)
        alone = data._replace(weight=data.weight * jnp.asarray(code == 0, number))
        start = laplace(model, alone).mode
        return Linear(*on_host(linearised(model, terms, len(table.tables), data, jnp.asarray(code), start)))


def sample_joint(
    table: JointTable, terms: Terms, at: Linear, discrepancy: bool, probability: tuple[float, ...], seed: int
) -> JointPosterior:
    """Draws of law, noise, differences and, if asked for, discrepancies.

    Parameters
    ----------
    table, terms, at
        The runs, how recipes differ, and where that is linear.
    discrepancy
        Whether discrepancies are part of the model.
    probability
        Prior probability of each component.
    seed
        The same seed gives the same draws.

    Raises
    ------
    FitError
        The draws are not finite.
    """
    bound, count = table.bound, len(table.tables) - 1
    model = bound.model.with_discrepancy_priors if discrepancy else replace_discrepancy(bound.model)
    slopes = np.asarray(at.slopes, dtype=float)
    bases = table.columns(slopes) if discrepancy else table.by_recipe(slopes)[None]
    with precision():
        number = jnp.result_type(float)
        data = bound.data._replace(
            log_x={name: jnp.asarray(values, number) for name, values in at.log_x.items()},
            log_loss=jnp.asarray(at.log_loss, number),
        )
        drawn, latent, stats, why = joint_draws(
            model, data, bases, at.theta, np.log(probability), seed, (CHAINS, MANY[1])
        )
        flat = {name: np.asarray(values, dtype=float).reshape(-1) for name, values in drawn.items()}
        weights = np.asarray(latent["weights"], dtype=float).reshape(len(flat["sigma"]), -1)
        component = np.asarray(latent["component"]).reshape(-1)
        if not all(np.isfinite(values).all() for values in (weights, *flat.values())):
            raise FitError(f"{bound.runs.name} has draws that are not finite. Check the table for a run far from all.")
        shared, own = weights[:, :0], np.zeros((len(weights), count, 0))
        if discrepancy:
            split = weights.shape[1] - count * len(terms.sd)
            pivots = split - count * table.own_pivots
            shared, own = weights[:, :pivots], weights[:, pivots:split].reshape(len(weights), count, -1)
        v = weights[:, weights.shape[1] - count * len(terms.sd) :].reshape(len(weights), count, -1)
        again = np.concatenate([own, v], axis=2)
        if data.is_plain:  # where runs share errors, those of one recipe are no longer all that matters
            again = _given_the_rest(model, table, terms, (flat, component, shared, again), seed)
    parts = again[:, :, : own.shape[2]], again[:, :, own.shape[2] :] * np.asarray(terms.sd)
    stats = {name: np.asarray(values) for name, values in stats.items()}
    return JointPosterior(flat, parts[1], component, shared, parts[0], stats, why)


def replace_discrepancy(model: Model) -> Model:
    """The model of the law alone."""
    return Model(model.law, model.noise, model.priors, discrepancy=None)


def _given_the_rest(model: Model, table: JointTable, terms: Terms, drawn: tuple, seed: int) -> np.ndarray:
    """Own weights and differences of every draw and recipe, drawn again without the linear approximation."""
    theta, component, shared, near = drawn
    data, rows, number = table.bound.data, table.rows, jnp.result_type(float)
    pivots = near.shape[2] - len(terms.sd)
    f, basis = np.zeros((len(component), *rows.shape)), np.zeros((1, *rows.shape, 0))
    if pivots:
        at_rows = table.shared[1][:, rows]
        for k in np.unique(component):
            f[component == k] = np.einsum("dp,rnp->drn", shared[component == k], at_rows[k])
        basis = np.stack([own for _, own in table.each], axis=1)
    some = RecipeRows(
        {name: values[rows] for name, values in data.x.items()},
        data.log_loss[rows],
        jnp.asarray(table.counted, number),
        jnp.asarray(basis, number),
    )
    arrays = jax.tree.map(lambda a: jnp.asarray(a, number), (theta, f, near))
    found = conditional_draws(
        model, terms, some, arrays[0], jnp.asarray(component), arrays[1], arrays[2], prng_key(seed + 1)
    )
    return np.asarray(found, dtype=float)
