"""Residuals of a law at its mode, and its slopes there."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit._aot import cached_jit
from scalefit._precision import precision
from scalefit.diagnostics.checks import Draws
from scalefit.model.data import Data, Theta
from scalefit.model.discrepancy import coordinates
from scalefit.model.model import BoundModel, Model
from scalefit.runs import Runs

NU = 4.0  # of the noise, for the weights of IRLS
MANY = 4000  # runs beyond which some are looked at
POLISH, LEAST_GAIN = 8, 0.99  # steps towards the mode of the law, and by how much residuals shrink at least in each


@dataclass(frozen=True)
class Residuals:
    """Residuals of the law at its mode.

    Attributes
    ----------
    rows
        Of the table, from 0: all, or some of a long one.
    at
        (ln C, ln D/N) of each, (run, 2).
    off
        ln loss less the law's, (run,).
    slopes
        Derivatives of the law's ln loss by each parameter in standard deviations of its prior, (run, param).
    mode, width
        The law's parameters at the mode, on the whole real line, and standard deviations of their priors there.
    """

    rows: np.ndarray
    at: Float[np.ndarray, "run 2"]
    off: Float[np.ndarray, " run"]
    slopes: Float[np.ndarray, "run param"]
    mode: Float[np.ndarray, " param"]
    width: Float[np.ndarray, " param"]


def residuals_of(bound: BoundModel, draws: Draws, part: int = 0) -> Residuals:
    """Residuals of the law at the mode next to the median of the draws.

    Parameters
    ----------
    bound
        The model bound to its table.
    draws
        Raw parameters, name -> (chain, draw).
    part
        Of a table of more than `MANY` runs, which of its interleaved parts.
    """
    model, count = bound.model, len(bound.runs)
    names = model.law_space.names
    middle = bound.to_unit({name: np.median(values) for name, values in draws.items()})
    with precision():
        data = bound.data
        z = {name: np.asarray(value) for name, value in model.law_space.unconstrain(middle).items()}
        start = np.array([z[name] for name in names])
        mode, log_mean, slopes, width = _polished(model, data, start, count)
    off = np.asarray(data.log_loss, dtype=float)[:count] - log_mean
    rows = np.arange(count)
    if count > MANY:
        rows = np.sort(np.argsort(bound.runs.loss, kind="stable")[part :: -(-count // MANY)])
    at = places(bound.runs, model)[rows]
    return Residuals(rows, at, off[rows], slopes[rows], mode, width)


def places(runs: Runs, model: Model) -> Float[np.ndarray, "run 2"]:
    """(ln C, ln D/N) of each run; (ln of the law's first input, 0) where runs have no N or D."""
    if {"params", "tokens"} <= set(runs.columns):
        return coordinates({"params": runs.params, "tokens": runs.tokens})
    first = np.log(np.asarray(runs[model.law.inputs[0]], dtype=float))
    return np.stack([first, np.zeros(len(first))], axis=1)


def irls_weight(scaled: Float[np.ndarray, " run"]) -> Float[np.ndarray, " run"]:
    """How much each residual counts, in units of the noise's scale, beside one at the law."""
    return np.clip((NU + 1) / (NU + scaled**2), 0.02, 1.25)


def _polished(model: Model, data: Data, z: Float[np.ndarray, " param"], count: int) -> tuple[Any, ...]:
    """The mode a few IRLS steps from `z`, and the law's ln loss, slopes and prior widths there."""
    log_loss = np.asarray(data.log_loss, dtype=float)[:count]
    best: tuple[Any, ...] = ()
    for _ in range(POLISH):
        log_mean, slopes, width = (np.asarray(each, dtype=float) for each in law_and_slopes(model, data, z))
        log_mean, slopes = log_mean[:count], slopes[:count]
        off = log_loss - log_mean
        size = max(1.4826 * float(np.median(np.abs(off))), 1e-9)
        if best and not (size < best[0] and np.isfinite(slopes).all()):
            z = (best[1] + z) / 2
            continue
        done = best and size > LEAST_GAIN * best[0]
        best = size, z, log_mean, slopes, width
        if done:
            break
        weighted = slopes * irls_weight(off / size)[:, None]
        gram = weighted.T @ slopes + size**2 * np.eye(len(z))
        z = z + width * np.linalg.solve(gram, weighted.T @ off)
    return best[1:]


@cached_jit("model")
def law_and_slopes(
    model: Model, data: Data, z: Float[Array | np.ndarray, " param"]
) -> tuple[Float[Array, " run"], Float[Array, "run param"], Float[Array, " param"]]:
    """ln loss of every run by the law with unconstrained parameters `z`, its derivatives, and the priors' widths.

    The width is the standard deviation of a normal prior with the same quartiles, on the whole real line; derivatives
    are by parameters in units of it.
    """
    space = model.law_space

    def log_mean(z: Array) -> Array:
        theta: Theta = space.constrain(space.unflatten(z))
        return model.log_mean(theta, data.x)

    quartiles = {name: prior.quantile(np.array([0.25, 0.75])) for name, prior in space.priors.items()}
    ends = space.flatten(space.unconstrain(quartiles))
    z = jnp.asarray(z, data.log_loss.dtype)
    width = ((ends[1] - ends[0]) / 1.349).astype(z.dtype)
    return log_mean(z), jax.jacfwd(log_mean)(z) * width, width
