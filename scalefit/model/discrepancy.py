"""The discrepancy: a smooth process added to ln loss, because every law of a few parameters is slightly wrong.

The sum of two zero-mean Gaussian processes with squared-exponential kernels (Kennedy and O'Hagan 2001, J. R. Stat. Soc.
B 63, 425, call such a term the model's discrepancy): one in ln C alone, and a smaller one in ln C and ln(D/N), which is
what can move the optimum along a budget.

Near the runs it is held by few of them, the pivots; elsewhere each posterior draw is a path of its own, a draw of the
prior process corrected to agree at the pivots (Wilson et al. 2020, arXiv 2002.09309, equation 12).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from math import inf, log
from pathlib import Path
from typing import Any, Self, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._atomic import atomic_write
from scalefit._random import quasirandom
from scalefit.counting import FLOPS_PER_PARAM_TOKEN, flops_6nd
from scalefit.errors import OptionError, StorageError
from scalefit.laws import Prior
from scalefit.numerics.linalg import small_matmul

PIVOTS = 24
WAVES = (16, 32)  # of the prior paths, for each process
# Of `sample_paths`, for `jax.vmap` over draws: what all share is computed once where they are asked for the same point.
PATH_AXES = {"scales": None, "frequency": None, "size": None, "centres": None, "pull": 0, "normal": 0}
# Plane waves at the quantiles of the kernels' spectral density, a normal: evenly in one dimension, on the R sequence
# in two.


@final
@dataclass(frozen=True)
class Evidence:
    """What scales were learned from, and how often 90 % intervals contained larger runs of other studies.

    Parameters
    ----------
    studies, cases
        How many sweeps, and how many sweeps cut by compute.
    times
        The cuts, (cut,): largest compute over that of the runs fitted.
    loss_90, size_90
        Share of the larger runs' losses, and of ln N at their isoFLOP minima, inside the intervals, (cut,).
    """

    studies: int
    cases: int
    times: tuple[float, ...]
    loss_90: tuple[float, ...]
    size_90: tuple[float, ...]


@cache
def learned_evidence() -> Evidence:
    """What the default scales were learned from, as benchmarks/learn_discrepancy.py measured it."""
    stored = json.loads(files("scalefit.model").joinpath("learned_evidence.json").read_text())
    given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()}
    return Evidence(**given)


@final
@dataclass(frozen=True)
class Discrepancy:
    """Scales of the discrepancy on ln loss; the defaults were learned by benchmarks/learn_discrepancy.py.

    Parameters
    ----------
    compute, compute_length
        Standard deviation of the process in ln C, and its length scale in e-folds of C.
    allocation, allocation_lengths
        Standard deviation of the process in (ln C, ln D/N), and its length scales.
    exponent
        Median, and standard deviation of the logarithm, of the prior of alpha and beta with a discrepancy, which leaves
        runs less information about them; None keeps the law's.

    Raises
    ------
    OptionError
        A scale is not positive.
    """

    compute: float = 0.025
    compute_length: float = 4.0
    allocation: float = 0.015
    allocation_lengths: tuple[float, float] = (4.0, 3.0)
    exponent: tuple[float, float] | None = (0.34, 0.12)

    def __post_init__(self) -> None:
        pairs = (self.allocation_lengths, (1.0, 1.0) if self.exponent is None else self.exponent)
        if any(len(pair) != 2 for pair in pairs) or not all(0 < x < inf for x in (*self.scales, *pairs[1])):
            raise OptionError(f"{self}: every scale of a discrepancy is positive; discrepancy=None leaves it out.")

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """From its fields as JSON keeps them, with lists for tuples."""
        given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()}
        return cls(**given)

    @property
    def scales(self) -> tuple[float, float, float, float, float]:
        """The five of the processes, as the functions of this file take them."""
        return (self.compute, self.compute_length, self.allocation, *self.allocation_lengths)

    @property
    def evidence(self) -> Evidence | None:
        """How often intervals with these scales contained larger runs: known of the defaults only."""
        return learned_evidence() if self == Discrepancy() else None

    @property
    def priors(self) -> dict[str, Prior]:
        """Of the exponents, by name."""
        if self.exponent is None:
            return {}
        median, spread = self.exponent
        return dict.fromkeys(("alpha", "beta"), Prior.of("LogNormal", loc=log(median), scale=spread))


def write_discrepancy(scales: Discrepancy, path: str | Path) -> None:
    """Write the scales to a JSON file."""
    atomic_write(Path(path), json.dumps(asdict(scales), indent=1).encode() + b"\n")


def read_discrepancy(path: str | Path) -> Discrepancy:
    """The scales that `write_discrepancy` wrote. Raises `OptionError` where the file holds anything else."""
    try:
        return Discrepancy.of(json.loads(Path(path).read_text()))
    except (OSError, ValueError, TypeError, AttributeError) as problem:
        raise StorageError(
            f"{path} holds no scales of a discrepancy ({problem}); `scalefit learn-discrepancy` writes them."
        ) from None


def coordinates(x: Mapping[str, Any]) -> Any:
    """(ln C, ln D/N) of runs with C = 6 N D, (..., 2)."""
    xp: Any = jnp if isinstance(x["params"], Array) else np
    n, d = x["params"], x["tokens"]
    return xp.stack([xp.log(flops_6nd(n, d)), xp.log(d / n)], axis=-1)


def kernel(scales: Any, u: Any, v: Any) -> Any:
    """Covariance of ln loss between coordinates u (..., 2) and v (..., 2), elementwise."""
    one, length, two, length_c, length_ratio = scales
    xp: Any = jnp if isinstance(u, Array) or isinstance(v, Array) else np
    off_c, off_ratio = u[..., 0] - v[..., 0], u[..., 1] - v[..., 1]
    along = one**2 * xp.exp(-0.5 * (off_c / length) ** 2)
    return along + two**2 * xp.exp(-0.5 * ((off_c / length_c) ** 2 + (off_ratio / length_ratio) ** 2))


def pivots(scales: Any, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The `PIVOTS` coordinates among u (run, 2) that say most about the others, (pivot, 2), and a basis (run, pivot).

    Pivoted Cholesky factorisation (Harbrecht, Peters and Schneider 2012, Appl. Numer. Math. 62, 428): the process at
    the runs is basis @ standard normals, but for a variance far below any noise. Few runs have zeros for the rest.
    """
    left = np.full(len(u), float(kernel(scales, u[0], u[0])))
    least = 1e-9 * left[0]
    basis, chosen = np.zeros((len(u), PIVOTS)), []
    for k in range(PIVOTS):
        i = int(left.argmax())
        if left[i] < least:
            break
        chosen.append(i)
        basis[:, k] = (kernel(scales, u, u[i]) - basis @ basis[i]) / np.sqrt(left[i])
        left = np.maximum(left - basis[:, k] ** 2, 0.0)
    return u[chosen], basis


def waves(scales: Any) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (wave, 2) of the prior paths, and the standard deviation of each wave's amplitude (wave,)."""
    from scipy.special import ndtri

    one, length, two, length_c, length_ratio = scales
    first = ndtri((np.arange(WAVES[0]) + 0.5) / WAVES[0]) / length
    second = ndtri(quasirandom(WAVES[1], 2)) / np.array([length_c, length_ratio])
    frequency = np.concatenate([np.stack([first, 0 * first], axis=1), second])
    return frequency, np.repeat([one / WAVES[0] ** 0.5, two / WAVES[1] ** 0.5], WAVES)


def sample_paths(scales: Any, centres: np.ndarray, weights: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """What `discrepancy_at` takes, along `PATH_AXES`: one path for each of the posterior's `weights` (draw, pivot).

    centres : the pivots, (up to pivot, 2); weights beyond them, of a table with few runs, are left out.
    """
    from scipy.linalg import solve_triangular

    draws, count = len(weights), len(centres)
    frequency, size = waves(scales)
    normal = np.random.default_rng(seed).normal(size=(draws, 2 * len(size)))
    phase = centres @ frequency.T
    prior = small_matmul(normal, np.concatenate([size * np.cos(phase), size * np.sin(phase)], axis=1).T)
    root = np.linalg.cholesky(kernel(scales, centres[:, None], centres[None]) + 1e-9 * scales[0] ** 2 * np.eye(count))
    whiten = solve_triangular(root, np.eye(count), lower=True)
    pull = np.zeros((draws, PIVOTS))
    pull[:, :count] = small_matmul(weights[:, :count] - small_matmul(prior, whiten.T), whiten)
    shared = {"scales": np.array(scales), "frequency": frequency, "size": size}
    shared["centres"] = np.resize(centres, (PIVOTS, 2))  # those repeated have no pull
    return shared | {"pull": pull, "normal": normal}


def discrepancy_at(path: Mapping[str, Array], log_n: Array, log_d: Array) -> Array:
    """The law's error on ln loss at one allocation, of one draw of `sample_paths`."""
    u = jnp.stack([jnp.log(FLOPS_PER_PARAM_TOKEN) + log_n + log_d, log_d - log_n])
    phase = path["frequency"] @ u
    wave = jnp.concatenate([path["size"] * jnp.cos(phase), path["size"] * jnp.sin(phase)])
    return kernel(path["scales"], path["centres"], u) @ path["pull"] + wave @ path["normal"]


def discrepancies_at(paths: Mapping[str, Array], log_n: Array, log_d: Array) -> Array:
    """That of every draw at each of log_n, log_d (run,): (draw, run)."""
    return jax.vmap(jax.vmap(discrepancy_at, (None, 0, 0)), (PATH_AXES, None, None))(paths, log_n, log_d)
