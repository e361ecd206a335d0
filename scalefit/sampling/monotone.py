"""What is known of a tuned run: more tokens do not raise its loss, nor do more parameters on enough tokens.

Paths of the discrepancy know nothing of it, and where the law is nearly flat they may turn its slope. Of several paths
for each posterior draw those are kept on which the loss falls, up to a hundred times the compute of the data.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from scalefit._aot import cached_jit
from scalefit._batching import by_groups
from scalefit.laws import Law
from scalefit.model.data import Theta
from scalefit.model.discrepancy import shifted
from scalefit.model.path_grids import discrepancy_on_grid
from scalefit.runs import Runs

SIZES, AMOUNTS = 6, 8  # of the grid
BELOW, BEYOND = 10.0, 40.0  # from the largest N, and D, of the runs
FURTHEST = 100.0  # times the largest compute
LEAST_KEPT = 0.005  # of the paths, below which a table contradicts what is known


class Grid(NamedTuple):
    """Where the loss has to fall: N (size,), D (amount,), and the steps in D and in N that count."""

    params: Float[np.ndarray, " size"]
    tokens: Float[np.ndarray, " amount"]
    in_tokens: Bool[np.ndarray, "size some"]
    in_params: Bool[np.ndarray, "less amount"]


def known_grid(runs: Runs) -> Grid:
    """From a tenth of the largest N and D to forty times; steps in N end at the fewest tokens per parameter seen."""
    n, d = (np.geomspace(top / BELOW, top * BEYOND, count) for top, count in
            ((runs.params.max(), SIZES), (runs.tokens.max(), AMOUNTS)))  # fmt: skip
    reached = 6 * n[:, None] * d <= FURTHEST * runs.flops.max()
    seen = d / n[:, None] >= (runs.tokens / runs.params).min()
    return Grid(n, d, reached[:, 1:], (reached & seen)[1:])


def falling(
    law: Law, theta: Mapping[str, Float[np.ndarray, " path"]], paths: Mapping[str, np.ndarray], grid: Grid
) -> Bool[np.ndarray, " path"]:
    """Whether the loss of each draw, with its path, falls at every step of the grid that counts."""
    grid_of = (jnp.asarray(np.log(grid.params)), jnp.asarray(np.log(grid.tokens)))
    arrays: Any = jax.tree.map(jnp.asarray, (dict(theta), dict(paths)))
    loss = np.asarray(_log_losses(law, *arrays, *grid_of))
    by_tokens, by_params = np.diff(loss, axis=2) < 0, np.diff(loss, axis=1) < 0
    return (by_tokens | ~grid.in_tokens).all((1, 2)) & (by_params | ~grid.in_params).all((1, 2))


@cached_jit("law")
def _log_losses(
    law: Law, theta: Theta, paths: dict[str, Array], log_n: Float[Array, " size"], log_d: Float[Array, " amount"]
) -> Float[Array, "path size amount"]:
    x = {"params": jnp.exp(log_n)[:, None], "tokens": jnp.exp(log_d)} | dict(law.defaults)

    def one(draw: Theta, path: dict[str, Array]) -> Float[Array, "size amount"]:
        loss = law.loss(draw, x) * jnp.ones((len(log_n), len(log_d)))
        return shifted(jnp.log(loss), 1 - law.floor(draw) / loss, discrepancy_on_grid(path, log_n, log_d))

    return by_groups(one)(theta, paths)


def evenly(kept: Bool[np.ndarray, " path"], count: int) -> Int[np.ndarray, " count"]:
    """`count` of the kept paths, all of them about equally often."""
    rows = np.flatnonzero(kept)
    return rows[np.arange(count) * len(rows) // count]
