"""The root of a decreasing function, in a bracket."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

STEPS = 100  # bisection alone takes 60 from the widest bracket there is to rounding in float64
# Last steps within ten tolerances, or this, are short: where a value is rounded by more than its slope times the
# tolerance, as that of a loss near its irreducible part is, Newton's steps stay some 1e-13 long for ever.
SHORT = 1e-6

Scalar = Float[Array, ""]


class Root(NamedTuple):
    """Where a search ended, and whether its last step was short: not where it was cut short, nor on NaN."""

    x: Scalar
    converged: Bool[Array, ""]


def find_root(
    f: Callable[[Scalar], tuple[Scalar, Scalar]],
    low: Scalar,
    high: Scalar,
    start: Scalar,
    within: float = 0.0,
    steps: int = STEPS,
) -> Root:
    """Root of a decreasing function: Newton's step where it stays in the bracket, else bisection.

    Scalars, to be vectorised with `jax.vmap`, where the slowest root decides how long all take, or with `by_groups`
    where it takes far longer than most.

    Parameters
    ----------
    f
        u to value and slope there.
    low, high
        The bracket. A root outside it gives its nearer end; NaN gives NaN.
    start
        Where to look first.
    within
        The last step is no longer than this, or than rounding.
    steps
        The most evaluations of `f`.

    Returns
    -------
    Root
        With the shape of `start`.

    Notes
    -----
    Not of optimistix, whose Newton keeps no bracket and whose bisection takes no Newton steps: planning finds millions
    of roots, of functions that are nearly straight, but for draws where Newton's step leaves the range. The tolerance
    follows the precision, for in float32 a fixed one is either never met or too wide; and the loop stops for each lane
    of a `vmap` at its own step.
    """
    rounding = 16 * jnp.finfo(jnp.result_type(float)).eps * jnp.maximum(1.0, jnp.abs(high))
    tolerance = jnp.maximum(rounding, within)

    def step(state: tuple) -> tuple:
        low, high, u, _, count = state
        value, slope = f(u)
        low, high = jnp.where(value > 0, u, low), jnp.where(value > 0, high, u)
        newton = u - value / slope
        new = jnp.where((newton >= low) & (newton <= high), newton, 0.5 * (low + high))
        new = jnp.where(jnp.isnan(value), jnp.nan, new)
        return low, high, new, jnp.abs(new - u), count + 1

    def unfinished(state: tuple) -> Bool[Array, ""]:
        return (state[3] > tolerance) & (state[4] < steps)

    state = (low, high, start, jnp.full_like(start, jnp.inf), 0)
    _, _, x, moved, _ = jax.lax.while_loop(unfinished, step, state)
    return Root(x, moved <= jnp.maximum(10 * tolerance, SHORT))
