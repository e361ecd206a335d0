"""Draws of a fit as the page reads them: base64 of little-endian numbers, and the discrepancy's paths."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from scalefit._precision import precision
from scalefit.costs.cost import Compute
from scalefit.costs.measured import Measured, cost_of_runs
from scalefit.fits.fit import Fit
from scalefit.laws import Law
from scalefit.model.paths import LINE, PLANE

# Laws with a line in page/laws.js; the losses of any other are sent on a grid.
WRITTEN = (
    "chinchilla", "chinchilla-outer", "over-training", "precision", "moe-granular", "kaplan", "farseer",
    "data-constrained", "kaplan-steps",
)  # fmt: skip
GRID = 40  # sizes, and tokens, of such a grid
GRID_DRAWS = 200
BEYOND = np.log(1e4)  # of the grid, from the smallest and the largest run


def packed(values: Any) -> str:
    """Base64 of float64 numbers, little-endian, rows first."""
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f8").tobytes()).decode()


def some_draws(count: int, draws: int) -> Int[np.ndarray, " some"]:
    """Numbers of at most `draws` draws, evenly among `count`."""
    return np.unique(np.linspace(0, count - 1, min(count, draws)).round().astype(int))


def draws_payload(fit: Fit, discrepancy: bool, draws: int, fixed: Mapping[str, float]) -> dict[str, Any]:
    """One posterior of a fit, with discrepancy or law only.

    Parameters
    ----------
    fit, discrepancy
        Of the draws.
    draws
        The most that are sent.
    fixed
        The law's inputs beyond params and tokens, for a law that is sent on a grid.
    """
    law, (theta, paths) = fit.model.law, fit.joint_draws(discrepancy)
    count = len(next(iter(theta.values())))
    chosen = some_draws(count, draws if law.name in WRITTEN else min(draws, GRID_DRAWS))
    given = {p.name: np.asarray(theta[p.name])[chosen] for p in law.params()}
    found = {"of": count, **posterior_payload(law, given, paths and {k: values[chosen] for k, values in paths.items()})}
    found["cost"] = cost_payload(cost_of_runs(fit.runs, count, fit.seed), chosen)
    return found if law.name in WRITTEN else found | {"grid": _grid(law, given, fit, fixed)}


def posterior_payload(
    law: Law, theta: Mapping[str, np.ndarray], paths: Mapping[str, np.ndarray] | None
) -> dict[str, Any]:
    """Draws of a law's parameters, each (draw,), and of the discrepancy where there is one."""
    count = len(next(iter(theta.values())))
    found: dict[str, Any] = {"count": count, "floor": packed(np.broadcast_to(law.floor(theta), count))}
    if law.name in WRITTEN:
        found["theta"] = {name: packed(values) for name, values in theta.items()}
    return found if paths is None else found | {"paths": paths_payload(paths)}


def cost_payload(cost: Compute, chosen: Int[np.ndarray, " some"]) -> dict[str, Any]:
    """ln C = k + p ln N + q ln D, and ln of what one token of D_0 costs one parameter, for page/lines.js.

    Parameters
    ----------
    cost
        Of a table's runs, of numbers or with draws.
    chosen
        The draws that are sent.
    """

    def numbers(cost: Compute) -> np.ndarray:
        p = 1 + cost.params_power if isinstance(cost, Measured) else 1.0
        parts = np.log(cost.training(1.0, 1.0)), p, 1 + cost.growth[0], np.log(cost.per_token(1.0))
        return np.stack(np.broadcast_arrays(*parts), axis=-1)

    found: dict[str, Any] = {"mean": numbers(cost.averaged()).tolist()}
    return found | {"draws": packed(numbers(cost)[chosen])} if isinstance(cost, Measured) else found


def paths_payload(paths: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The discrepancy of each draw, for page/discrepancy.js.

    Parameters
    ----------
    paths
        Of `sample_paths`: "scales", "centres", "pull", "line" and "plane", each (draw, ...). Draws of one set of scales
        share their pivots, which are sent once.
    """
    _, first, component = np.unique(paths["scales"], axis=0, return_index=True, return_inverse=True)
    sets = [{"scales": paths["scales"][i].tolist(), "centres": paths["centres"][i].tolist()} for i in first]
    return {
        "nodes": {"line": LINE.tolist(), "plane": PLANE.tolist()},
        "sets": sets,
        "component": component.reshape(-1).tolist(),
        **{name: packed(paths[name]) for name in ("pull", "line", "plane")},
    }


def _grid(law: Law, theta: Mapping[str, np.ndarray], fit: Fit, fixed: Mapping[str, float]) -> dict[str, Any]:
    """ln loss of every draw at sizes and tokens around the runs."""
    import jax
    import jax.numpy as jnp

    ends = [np.log([values.min(), values.max()]) + [-BEYOND, BEYOND] for values in (fit.runs.params, fit.runs.tokens)]
    log_n, log_d = (np.linspace(max(low, 0.0), high, GRID) for low, high in ends)

    def one(draw: dict[str, Any]) -> Float[jax.Array, "size tokens"]:
        x = {"params": jnp.exp(log_n)[:, None], "tokens": jnp.exp(log_d)[None], **fixed}
        return jnp.log(law.loss(draw, x)) + jnp.zeros((GRID, GRID))

    with precision():
        values = jax.vmap(one)({name: jnp.asarray(each) for name, each in theta.items()})
    return {"logN": log_n.tolist(), "logD": log_d.tolist(), "values": packed(np.asarray(values))}
