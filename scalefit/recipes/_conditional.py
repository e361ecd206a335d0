"""Each recipe's differences and own discrepancy, given the law, the noise and the shared discrepancy of a draw.

Given those, recipes are independent of each other, and their few unknowns are nearly normal: they are drawn around
their own mode, from several proposals weighed by the exact density, so that the linear approximation that led to the
draw leaves no trace in them.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from scalefit._aot import cached_jit
from scalefit._batching import by_groups
from scalefit.model.data import Theta
from scalefit.model.model import Model
from scalefit.numerics.importance import at_shares
from scalefit.numerics.linalg import small_cholesky, small_solve_lower, small_solve_upper
from scalefit.recipes._terms import Terms

STEPS = 3  # Gauss and Newton's, from the linear draw
PROPOSALS = 8
SMALL = 1e-3  # of sigma: nearer residuals have the IRLS weight of this one


class RecipeRows(NamedTuple):
    """Runs of every recipe but the baseline, unit-free and padded.

    Attributes
    ----------
    x, log_loss, weight
        As of `Data`, name -> (recipe, row), and (recipe, row).
    basis
        Of the own discrepancy, for each component.
    """

    x: dict[str, Float[Array, "recipe row"]]
    log_loss: Float[Array, "recipe row"]
    weight: Float[Array, "recipe row"]
    basis: Float[Array, "component recipe row pivot"]


@cached_jit("model", "terms")
def conditional_draws(
    model: Model,
    terms: Terms,
    rows: RecipeRows,
    theta: Theta,
    component: Array,
    shared: Float[Array, "draw recipe row"],
    near: Float[Array, "draw recipe unknown"],
    key: PRNGKeyArray,
) -> Float[Array, "draw recipe unknown"]:
    """Own weights, then differences in units of their prior standard deviation, of every draw and recipe.

    Parameters
    ----------
    model, terms, rows
        The law and noise, how recipes differ, and their runs.
    theta, component, shared
        Of every draw: unit-free law and noise, scales, and the shared discrepancy at the rows.
    near
        The unknowns as the linear model drew them, where the mode is sought.
    key
        Of all that is random.
    """
    sd, pivots = jnp.asarray(terms.sd, near.dtype), rows.basis.shape[-1]
    keys = jax.random.split(key, len(near))

    def one(theta: Theta, pick: Array, f: Array, near: Array, key: PRNGKeyArray) -> Array:
        normal = jax.random.normal(key, (PROPOSALS, *near.shape), near.dtype)
        share = jax.random.uniform(jax.random.fold_in(key, 1), near.shape[:1], near.dtype)
        given = rows.x, rows.log_loss - f, rows.weight, rows.basis[pick]
        return jax.vmap(of_recipe, (None, 0, 0, 1, 0))(theta, given, near, normal, share)

    def of_recipe(theta: Theta, given: Any, start: Array, normal: Array, share: Array) -> Array:
        x, target, weight, basis = given
        slope = jax.grad(lambda e: model.noise.log_density(theta, e))
        mean = lambda v: jax.vmap(lambda x: terms.log_loss(model.law, theta, x, v * sd))(x)

        def rest(y: Array) -> Array:
            return target - mean(y[pivots:]) - basis @ y[:pivots]

        def around(y: Array) -> tuple[Array, Array]:
            r = rest(y)
            apart = jnp.where(jnp.abs(r) < SMALL * theta["sigma"], SMALL * theta["sigma"], r)
            irls = weight * jnp.maximum(-jax.vmap(slope)(apart) / apart, 0.0)
            j = jnp.concatenate([basis, jax.jacfwd(mean)(y[pivots:])], axis=1)
            root = small_cholesky((j.T * irls) @ j + jnp.eye(len(y), dtype=y.dtype))
            return root, j.T @ (irls * r) - y

        def step(_: Any, y: Array) -> Array:
            root, pull = around(y)
            return y + small_solve_upper(root, small_solve_lower(root, pull[:, None]))[:, 0]

        y = jax.lax.fori_loop(0, STEPS, step, start)
        root, _ = around(y)
        proposed = y + small_solve_upper(root, normal.T).T
        log_density = lambda y: (weight * model.noise.log_density(theta, rest(y))).sum() - 0.5 * (y**2).sum()
        log_weight = jax.vmap(log_density)(proposed) + 0.5 * (normal**2).sum(axis=1)
        log_weight = jnp.where(jnp.isfinite(log_weight), log_weight, -jnp.inf)
        found = proposed[at_shares(jnp.exp(log_weight - log_weight.max()), share)]
        return jnp.where(jnp.isfinite(found).all(), found, start)

    return by_groups(one)(theta, component, shared, near, keys)
