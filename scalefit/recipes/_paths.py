"""Paths of the discrepancy of several recipes: the shared one, and that plus its own for every other recipe.

A recipe's own process has the kernel of the shared one, smaller by a share. So their sum is one path: amplitudes of
waves add up, and the pivots of both stand side by side. Draws of recipes stay paired.
"""

from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from scalefit.laws import Law
from scalefit.model.discrepancy import coordinates
from scalefit.model.paths import AtPivots, sample_paths, values_at
from scalefit.recipes._joint import JointTable
from scalefit.recipes._posterior import JointPosterior
from scalefit.sampling.monotone import ROUNDS, Grid, falling_paths, known_grid, law_losses, loss_falls

Paths = dict[str, np.ndarray]


def paths_of_recipes(
    table: JointTable, posterior: JointPosterior, raw: list[dict[str, np.ndarray]], seed: int
) -> tuple[JointPosterior, list[Paths], list[float]]:
    """A path for every draw and recipe, on which the loss falls with N and D; for use inside `precision()`.

    Parameters
    ----------
    table, posterior
        The runs, and draws of law, noise, differences and weights.
    raw
        Of every recipe, the law's raw parameters, name -> (draw,).
    seed
        The same seed gives the same paths.

    Returns
    -------
    tuple
        As many draws as before, those whose baseline falls; paths of every recipe; and which share of them falls. A
        draw without a falling path of another recipe in several attempts keeps the last.
    """
    law, rng = table.bound.model.law, np.random.default_rng(seed)
    at = table.shared[0]
    some = partial(sample_paths, at, posterior.component, posterior.shared, rng)
    in_place = partial(values_at, at, posterior.component)
    draw, shared, kept = falling_paths(law, raw[0], table.bound.runs, some, in_place, len(posterior.component), rng)
    posterior = posterior.chosen(draw)
    grid = known_grid(table.bound.runs)
    f = values_at(at, posterior.component, shared, coordinates(grid.places))
    found, shares = [shared], [kept]
    for r, own_raw in enumerate(raw[1:]):
        theta = {name: values[draw] for name, values in own_raw.items()}
        at = table.each[r if r < len(table.each) else 0][0]  # of a recipe without runs any pivots will do
        paths, share = _own((at, posterior, posterior.own[:, r]), (law, theta), (grid, f), rng)
        found.append(summed(shared, paths, table.shares[posterior.component], table.own_pivots))
        shares.append(share)
    return posterior, found, shares


def _own(
    own: tuple[list[AtPivots], JointPosterior, np.ndarray], of: tuple[Law, Any], place: tuple[Grid, Any], rng: Any
) -> tuple[Paths, float]:
    """Paths of one recipe's own discrepancy, and how many of the first ones fall."""
    (at, posterior, weights), (law, theta), (grid, f) = own, of, place
    u, places = coordinates(grid.places), {name: jnp.asarray(values) for name, values in grid.places.items()}
    loss, floor = (np.asarray(each, dtype=float) for each in law_losses(law, dict(theta), places))
    paths, left, first = dict[str, np.ndarray](), np.arange(len(f)), 0.0
    for attempt in range(ROUNDS):
        component = posterior.component[left]
        new = sample_paths(at, component, weights[left], rng)
        good = loss_falls(loss[left] * np.exp(f[left] + values_at(at, component, new, u)), floor[left], grid)
        for name, values in new.items():
            paths.setdefault(name, values)[left] = values
        first = first if attempt else float(good.mean())
        left = left[~good]
        if not left.size:
            break
    return paths, first


def summed(shared: Paths, own: Paths, share: Float[np.ndarray, " draw"], pivots: int) -> Paths:
    """The shared paths plus a recipe's own ones, whose kernel is that of the shared ones times a share squared.

    So many of the own pivots are kept, whatever the recipe, so that all of them share their programs.
    """
    pull = own["pull"][:, :pivots] * share[:, None] ** 2
    return {
        "scales": shared["scales"],
        "centres": np.concatenate([shared["centres"], own["centres"][:, :pivots]], axis=1),
        "pull": np.concatenate([shared["pull"], pull], axis=1),
        "line": shared["line"] + own["line"],
        "plane": shared["plane"] + own["plane"],
    }
