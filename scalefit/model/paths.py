"""Paths of the discrepancy: a function of N and D for each posterior draw.

Near the runs the process is held by few of them, the pivots; elsewhere each draw is a draw of the prior process
corrected to agree at the pivots (Wilson et al. 2020, arXiv 2002.09309, equation 12). The prior process is a sum of
waves at the nodes of Gauss-Hermite quadrature of the kernels' spectral density, a normal: of nodes spread over it, and
over its tails, so that paths are as rough as the process is.

Both parts are sums of products of a function of ln C and one of ln(D/N), so that many points of one budget are cheap.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from scalefit.counting import FLOPS_PER_PARAM_TOKEN
from scalefit.model.discrepancy import PIVOTS, Scales, kernel

# In one dimension 20 nodes, in two 10 by 10; half of each, the others being their mirror images.
NODES = {count: [half[count // 2 :] for half in np.polynomial.hermite_e.hermegauss(count)] for count in (20, 10)}
(LINE, LINE_WEIGHT), (PLANE, PLANE_WEIGHT) = NODES[20], NODES[10]
Path = Mapping[str, Array]


class AtPivots(NamedTuple):
    """One set of scales at its pivots.

    Attributes
    ----------
    scales
        The set.
    centres
        Coordinates of the pivots.
    waves
        All of them there, those of the line first.
    whiten
        Inverse of the Cholesky factor of the process's covariance there.
    """

    scales: Scales
    centres: Float[np.ndarray, "some 2"]
    waves: Float[np.ndarray, "some wave"]
    whiten: Float[np.ndarray, "some some"]

    @classmethod
    def of(cls, scales: Scales, centres: Float[np.ndarray, "some 2"]) -> Self:
        """From scales and pivots."""
        from scipy.linalg import solve_triangular

        cov, one = kernel(scales, centres[:, None], centres[None]), np.eye(len(centres))
        root = np.linalg.cholesky(cov + 1e-9 * cov[0, 0] * one)
        return cls(scales, centres, _all_waves(scales, centres), solve_triangular(root, one, lower=True))


def sample_paths(
    pivots: Sequence[AtPivots],
    component: Int[np.ndarray, " draw"],
    weights: Float[np.ndarray, "draw pivot"],
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """A path for each posterior draw.

    Parameters
    ----------
    pivots
        Of every set of scales.
    component
        Which of them each draw has.
    weights
        Of the basis at the runs; those beyond the pivots, of a table with few runs, are left out.
    rng
        Of all that is random.

    Returns
    -------
    dict
        What `discrepancy_at` takes, each (draw, ...): "scales" (5,), "centres" (pivot, 2), "pull" (pivot,), of the
        kernel at each pivot, and "line" (40 / 2,) and "plane" (10, 10), amplitudes of the waves.
    """
    draws = len(weights)
    line = np.tile(np.sqrt(LINE_WEIGHT / LINE_WEIGHT.sum()), 2)
    plane = np.tile(np.sqrt(PLANE_WEIGHT / PLANE_WEIGHT.sum()), 2)
    paths = {
        "scales": np.array([each.scales for each in pivots])[component],
        "centres": np.zeros((draws, PIVOTS, 2)),
        "pull": np.zeros((draws, PIVOTS)),
        "line": rng.normal(size=(draws, len(line))) * line,
        "plane": rng.normal(size=(draws, len(plane), len(plane))) * plane[:, None] * plane,
    }
    for k in np.unique(component):
        rows, at, count = component == k, pivots[k], len(pivots[k].centres)
        paths["line"][rows] *= at.scales.compute
        paths["plane"][rows] *= at.scales.allocation
        paths["centres"][rows] = np.resize(at.centres, (PIVOTS, 2))  # those repeated have no pull
        # What moves paths of the prior to their posterior's values at the pivots.
        off = weights[rows, :count] - _amplitudes(paths, rows) @ at.waves.T @ at.whiten.T
        paths["pull"][rows, :count] = off @ at.whiten
    return paths


def values_at(
    pivots: Sequence[AtPivots],
    component: Int[np.ndarray, " draw"],
    paths: Mapping[str, np.ndarray],
    u: Float[np.ndarray, "place 2"],
) -> Float[np.ndarray, "draw place"]:
    """f of every path at the same coordinates: draws that share scales share waves and kernels."""
    values = np.empty((len(component), len(u)))
    for k in np.unique(component):
        rows, at = component == k, pivots[k]
        near = kernel(at.scales, at.centres[:, None], u[None])
        pull = paths["pull"][rows, : len(near)] @ near
        values[rows] = _amplitudes(paths, rows) @ _all_waves(at.scales, u).T + pull
    return values


def _amplitudes(paths: Mapping[str, np.ndarray], rows: Bool[np.ndarray, " draw"]) -> Float[np.ndarray, "row wave"]:
    """Of `_all_waves`."""
    return np.hstack([paths["line"][rows], paths["plane"][rows].reshape(rows.sum(), -1)])


def _all_waves(scales: Scales, at: Float[np.ndarray, "place 2"]) -> Float[np.ndarray, "place wave"]:
    """Those of the line, then the products of the plane's two."""
    _, length, _, length_c, length_ratio = scales
    by_c, by_ratio = (waves(PLANE, at[:, i] / each) for i, each in ((0, length_c), (1, length_ratio)))
    products = (by_c[:, :, None] * by_ratio[:, None]).reshape(len(at), -1)
    return np.hstack([waves(LINE, at[:, 0] / length), products])


def waves(nodes: np.ndarray, u: Float[Array | np.ndarray, "*at"]) -> Any:
    """Cosine and sine of every node at u, which is in units of the kernel's length: (*at, wave)."""
    xp = jnp if isinstance(u, jax.Array) else np
    phase = u[..., None] * xp.asarray(nodes, u.dtype)
    return xp.concatenate([xp.cos(phase), xp.sin(phase)], axis=-1)


def along_budget(path: Path, log_c: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, " term"]]:
    """What is left of one path at a compute: a level, and a coefficient for each of `ratio_terms`."""
    one, length, two, length_c, _ = path["scales"]
    off = path["centres"][:, 0] - log_c
    level = path["line"] @ waves(LINE, log_c / length) + path["pull"] @ (one**2 * jnp.exp(-0.5 * (off / length) ** 2))
    near = two**2 * jnp.exp(-0.5 * (off / length_c) ** 2) * path["pull"]
    return level, jnp.concatenate([waves(PLANE, log_c / length_c) @ path["plane"], near])


def ratio_terms(path: Path, log_ratio: Float[Array, "*at"]) -> Float[Array, "*at term"]:
    """Functions of ln(D/N) that one path is a sum of, at any number of ratios."""
    length = path["scales"][4]
    off = log_ratio[..., None] - path["centres"][:, 1]
    return jnp.concatenate([waves(PLANE, log_ratio / length), jnp.exp(-0.5 * (off / length) ** 2)], axis=-1)


def discrepancy_at(path: Path, log_n: Float[Array, ""], log_d: Float[Array, ""]) -> Float[Array, ""]:
    """f at one allocation, of one draw of `sample_paths`."""
    level, coefficients = along_budget(path, jnp.log(FLOPS_PER_PARAM_TOKEN) + log_n + log_d)
    return level + coefficients @ ratio_terms(path, log_d - log_n)


def discrepancies_at(paths: Path, log_n: Float[Array, " run"], log_d: Float[Array, " run"]) -> Float[Array, "draw run"]:
    """That of every draw at each of log_n, log_d."""
    return jax.vmap(jax.vmap(discrepancy_at, (None, 0, 0)), (0, None, None))(paths, log_n, log_d)
