"""What is known of a tuned run: more tokens do not raise its loss, nor do more parameters on enough tokens.

Paths of the discrepancy know nothing of it: where the law is nearly flat they may turn its slope, and they may take a
loss below the law's floor. Of several paths for each posterior draw those are kept on which the loss falls and stays
above the floor, up to a hundred times the compute of the data.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from scalefit._aot import cached_jit
from scalefit._batching import by_groups
from scalefit.counting import flops_6nd
from scalefit.laws import Law
from scalefit.model.data import Theta
from scalefit.model.discrepancy import coordinates
from scalefit.numerics.kd_tree import kd_order
from scalefit.runs import Runs

SIZES, AMOUNTS = 6, 8  # of the grid
BELOW, BEYOND = 10.0, 40.0  # from the largest N, and D, of the runs
FURTHEST = 100.0  # times the largest compute
ROUNDS = 8  # at most, each with a path for every draw, until as many are kept as there are draws
LEAST_KEPT = 0.005  # of the paths, below which a table contradicts what is known
WAYS = 6  # in which kept paths differ most, that the choice among them is even in
LEAVES = 10  # halvings of the k-d tree


class Grid(NamedTuple):
    """Where the loss has to fall: N (size,), D (amount,), the places and the steps in D and in N that count."""

    params: Float[np.ndarray, " size"]
    tokens: Float[np.ndarray, " amount"]
    reached: Bool[np.ndarray, "size amount"]
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
    reached = flops_6nd(n[:, None], d) <= FURTHEST * flops_6nd(runs.params, runs.tokens).max()
    seen = d / n[:, None] >= (runs.tokens / runs.params).min()
    return Grid(n, d, reached, reached[:, 1:], (reached & seen)[1:])


def falling_paths(
    law: Law,
    theta: Mapping[str, Float[np.ndarray, " draw"]],
    runs: Runs,
    sample: Callable[[], dict[str, np.ndarray]],
    values: Callable[[Mapping[str, np.ndarray], np.ndarray], Float[np.ndarray, "draw place"]],
    count: int,
    rng: np.random.Generator,
) -> tuple[Int[np.ndarray, " count"], dict[str, np.ndarray], float]:
    """Paths on which the loss falls, and stays above the floor; for use inside `precision()`.

    Parameters
    ----------
    law, theta, runs
        The law, its draws, and the runs.
    sample
        A path for every draw, others at each call.
    values
        f of paths at coordinates.
    count
        How many paths are chosen among those kept. More draws than that make the choice more precise than chance.
    rng
        Of the choice.

    Returns
    -------
    tuple
        Draws by their numbers, a path for each, and which share of all paths was kept: where none was, any paths.
    """
    grid = known_grid(runs)
    places: dict[str, Any] = grid.places
    draws: Any = dict(theta)
    loss, floor = (np.asarray(each, dtype=float) for each in law_losses(law, draws, places))
    rounds: list[dict[str, np.ndarray]] = []
    kept: list[Bool[np.ndarray, " draw"]] = []
    log_losses: list[Float[np.ndarray, "draw place"]] = []
    while len(rounds) < ROUNDS and sum(each.sum() for each in kept) < len(loss):
        rounds.append(sample())
        log_losses.append(np.log(loss) + values(rounds[-1], coordinates(places)))
        kept.append(loss_falls(np.exp(log_losses[-1]), floor, grid))
    turn, draw = np.nonzero(kept if np.any(kept) else ~np.asarray(kept))
    reached = np.stack(log_losses)[:, :, grid.reached.ravel()]
    chosen = spread_evenly(reached[turn, draw], count, rng)
    turn, draw = turn[chosen], draw[chosen]
    paths = {name: np.stack([each[name] for each in rounds])[turn, draw] for name in rounds[0]}
    return draw, paths, float(np.mean(kept))


def spread_evenly(
    answers: Float[np.ndarray, "path place"], count: int, rng: np.random.Generator
) -> Int[np.ndarray, " count"]:
    """Choose among paths at random, each as often as any other, but alike paths in their proportion.

    Paths are ordered along a k-d tree of their principal components, and one is drawn of each of `count` equal parts of
    that order (stratified sampling). The chosen then stand for all of the paths better than as many drawn freely.
    """
    centred = answers - answers.mean(axis=0)
    ways = centred @ np.linalg.eigh(centred.T @ centred)[1][:, -WAYS:]
    order = kd_order(ways, LEAVES)
    parts = (np.arange(count) + rng.uniform(size=count)) * len(ways) / count
    return rng.permutation(order[parts.astype(int)])


def loss_falls(
    loss: Float[np.ndarray, "draw place"], floor: Float[np.ndarray, " draw"], grid: Grid
) -> Bool[np.ndarray, " draw"]:
    """Whether a loss at the places of a grid falls along it, and stays above the floor."""
    whole = loss.reshape(-1, len(grid.params), len(grid.tokens))
    above = whole > floor[:, None, None]
    by_tokens, by_params = np.diff(whole, axis=2) < 0, np.diff(whole, axis=1) < 0
    steps = (by_tokens | ~grid.in_tokens).all((1, 2)) & (by_params | ~grid.in_params).all((1, 2))
    return steps & (above | ~grid.reached).all((1, 2))


@cached_jit("law")
def law_losses(
    law: Law, theta: Theta, places: dict[str, Float[Array, " place"]]
) -> tuple[Float[Array, "draw place"], Float[Array, " draw"]]:
    """The law's loss of every draw at places of a grid, and its floor."""
    x = places | dict(law.defaults)
    one = lambda draw: (law.loss(draw, x) * jnp.ones(len(places["params"])), law.floor(draw))
    return by_groups(one)(theta)
