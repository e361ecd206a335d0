"""What is known of a tuned run: more tokens do not raise its loss, nor do more parameters on enough tokens.

Paths of the discrepancy know nothing of it, and where the law is nearly flat they may turn its slope. Of several paths
for each posterior draw those are kept on which the loss falls, up to a hundred times the compute of the data.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from scalefit._aot import cached_jit
from scalefit._batching import by_groups
from scalefit.laws import Law
from scalefit.model.data import Theta
from scalefit.model.discrepancy import shifted
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

    @property
    def places(self) -> dict[str, Float[np.ndarray, " place"]]:
        """All of it, row by row."""
        n, d = np.meshgrid(self.params, self.tokens, indexing="ij")
        return {"params": n.ravel(), "tokens": d.ravel()}


def known_grid(runs: Runs) -> Grid:
    """From a tenth of the largest N and D to forty times; steps in N end at the fewest tokens per parameter seen."""
    n, d = (np.geomspace(top / BELOW, top * BEYOND, count) for top, count in
            ((runs.params.max(), SIZES), (runs.tokens.max(), AMOUNTS)))  # fmt: skip
    reached = 6 * n[:, None] * d <= FURTHEST * runs.flops.max()
    seen = d / n[:, None] >= (runs.tokens / runs.params).min()
    return Grid(n, d, reached[:, 1:], (reached & seen)[1:])


def falling(
    loss: Float[np.ndarray, "draw place"],
    floor: Float[np.ndarray, " draw"],
    f: Float[np.ndarray, "draw place"],
    grid: Grid,
) -> Bool[np.ndarray, " draw"]:
    """Whether the loss falls at every step of the grid that counts, given the law's losses there, its floor, and f."""
    whole = shifted(loss, floor[:, None], f).reshape(-1, len(grid.params), len(grid.tokens))
    by_tokens, by_params = np.diff(whole, axis=2) < 0, np.diff(whole, axis=1) < 0
    return (by_tokens | ~grid.in_tokens).all((1, 2)) & (by_params | ~grid.in_params).all((1, 2))


@cached_jit("law")
def losses_on(
    law: Law, theta: Theta, places: dict[str, Float[Array, " place"]]
) -> tuple[Float[Array, "draw place"], Float[Array, " draw"]]:
    """The law's loss of every draw at places of a grid, and its floor."""
    x = places | dict(law.defaults)
    one = lambda draw: (law.loss(draw, x) * jnp.ones(len(places["params"])), law.floor(draw))
    return by_groups(one)(theta)


def evenly(kept: Bool[np.ndarray, "draw round"], count: int) -> tuple[Int[np.ndarray, " count"], ...]:
    """Draws and rounds of `count` of the kept paths, all of them about equally often; of any where none is kept."""
    rows, turns = np.nonzero(kept if kept.any() else ~kept)
    chosen = np.arange(count) * len(rows) // count
    return rows[chosen], turns[chosen]
