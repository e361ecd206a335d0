"""What of residuals law, discrepancy and noise account for: closed form, in milliseconds.

The law is linear around the mode, discrepancy and parameters are Gaussian, and heavy-tailed noise is made Gaussian by
its probability integral transform. The covariance of the residuals is then that of noise plus `basis @ basis.T`, in
which the law's slopes and the pivots of the discrepancy stand side by side, so that everything costs one small system.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from scalefit.diagnostics.checks import Draws
from scalefit.diagnostics.residuals import NU, Residuals, irls_weight
from scalefit.model.clusters import SHARED
from scalefit.model.discrepancy import kernel
from scalefit.model.model import BoundModel, Model

Components = Sequence[tuple[Any, float]]
"""(scales of a discrepancy, prior weight), as `kernel` takes the scales; none for the law alone."""
MOST_PIVOTS, CHOICE_PIVOTS = 48, 24  # of the discrepancy, and while scales are weighed
LEAST_SHARE = 0.02  # of the evidence, below which scales are left out
FEW = 120  # runs by which scales are weighed
NOISE_SHARES = np.geomspace(0.1, 1.6, 17)  # of the scale of the law's residuals
LEAST_SIZE = 1e-3  # of those, in ln loss: a tenth of it is no more than losses are rounded to
ROUNDS = 2  # of reweighting
CLIP = 3.0


@dataclass(frozen=True)
class SharedErrors:
    """A normal error of every cluster of runs.

    Attributes
    ----------
    groups
        Number of each run's cluster, (run,).
    scale
        Of the error, on ln loss.
    """

    groups: Int[np.ndarray, " run"]
    scale: float

    def common(
        self, values: Float[np.ndarray, "*run"], sigma: float, weight: Float[np.ndarray, " run"] | None = None
    ) -> Float[np.ndarray, "*run"]:
        """What the clusters' errors account for of values (run, ...), beside noise of scale sigma, weighted by run."""
        column = lambda each: each.reshape(-1, *[1] * (values.ndim - 1))
        weight = np.ones(len(self.groups)) if weight is None else weight
        order = np.argsort(self.groups, kind="stable")
        starts = np.flatnonzero(np.diff(self.groups[order], prepend=-1))
        total = lambda each: np.add.reduceat(each[order], starts, axis=0)
        found = total(column(weight) * values) / column(total(weight) + (sigma / self.scale) ** 2)
        return found[np.searchsorted(self.groups[order][starts], self.groups)]

    def precise(
        self, values: Float[np.ndarray, "*run"], sigma: float, weight: Float[np.ndarray, " run"] | None = None
    ) -> Float[np.ndarray, "*run"]:
        """The inverse covariance of noise and shared errors times values, in units of the noise's variance."""
        left = values - self.common(values, sigma, weight)
        return left if weight is None else weight.reshape(-1, *[1] * (values.ndim - 1)) * left

    def basis(self, rows: Int[np.ndarray, " some"]) -> Float[np.ndarray, "some cluster"]:
        """Basis of the errors of some runs."""
        found, codes = np.unique(self.groups[rows], return_inverse=True)
        return self.scale * (codes[:, None] == np.arange(len(found)))


def precise(shared: SharedErrors | None, values: Float[np.ndarray, "*run"], sigma: float) -> Float[np.ndarray, "*run"]:
    """`SharedErrors.precise`, or the values where nothing is shared."""
    return values if shared is None else shared.precise(values, sigma)


@dataclass(frozen=True)
class Explained:
    """Residuals, and what of them law and discrepancy account for.

    Attributes
    ----------
    of
        The residuals.
    basis
        The prior covariance of what law and discrepancy add to ln loss is `basis @ basis.T`, (run, some).
    sigma
        Scale of the noise.
    left
        What of each residual is left to noise, (run,).
    shared
        What runs of a cluster share beside; None where they share nothing.
    """

    of: Residuals
    basis: Float[np.ndarray, "run some"]
    sigma: float
    left: Float[np.ndarray, " run"]
    shared: SharedErrors | None = None

    @property
    def model(self) -> str:
        """What was fitted, in words."""
        return "law and discrepancy" if self.basis.shape[1] > self.of.slopes.shape[1] else "the law alone"

    @cached_property
    def scores(self) -> Float[np.ndarray, " run"]:
        """Normal scores of the noise, none beyond `CLIP`."""
        from scipy.special import ndtri, stdtr

        return np.clip(ndtri(np.clip(stdtr(NU, self.left / self.sigma), 1e-12, 1 - 1e-12)), -CLIP, CLIP)

    @cached_property
    def gaussian(self) -> Float[np.ndarray, " run"]:
        """The residuals with the noise made Gaussian."""
        return self.of.off - self.left + self.sigma * self.scores

    @cached_property
    def _precise_basis(self) -> Float[np.ndarray, "run some"]:
        return precise(self.shared, self.basis, self.sigma)

    @cached_property
    def _small(self) -> Float[np.ndarray, "some some"]:
        gram = self.basis.T @ self._precise_basis
        return np.linalg.inv(gram + self.sigma**2 * np.eye(len(gram)))

    def whiten(self, values: Float[np.ndarray, "*run"]) -> Float[np.ndarray, "*run"]:
        """The inverse covariance times values (run, ...), in units of the noise's variance."""
        smooth = self._precise_basis @ (self._small @ (self._precise_basis.T @ values))
        return precise(self.shared, values, self.sigma) - smooth

    def estimate(self, i: int, rows: Int[np.ndarray, " some"] | slice = slice(None)) -> tuple[float, float]:
        """Of the law's parameter i by these rows: its estimate and variance, in standard deviations of its prior."""
        basis, shared = self.basis[rows], self.shared and replace(self.shared, groups=self.shared.groups[rows])
        precise_basis = precise(shared, basis, self.sigma)
        small = np.linalg.inv(precise_basis.T @ basis / self.sigma**2 + np.eye(basis.shape[1]))
        mean = small[i] @ (precise_basis.T @ self.gaussian[rows]) / self.sigma**2
        return float(mean), float(small[i, i])


def shared_errors(bound: BoundModel, draws: Draws, rows: Int[np.ndarray, " run"]) -> SharedErrors | None:
    """What these runs of a table share with others of their cluster; None where it has no clusters."""
    groups = bound.runs.clusters
    return None if groups is None else SharedErrors(groups[rows], float(np.median(draws[SHARED])))


def components_of(model: Model) -> Components:
    """Scales of the model's discrepancy, each with its weight; none where it has no discrepancy."""
    if model.discrepancy is None or not model.has_discrepancy:
        return ()
    return tuple(zip(model.discrepancy.scales, model.discrepancy.probabilities, strict=True))


def discrepancy_basis(
    components: Components, at: Float[np.ndarray, "run 2"], least: float
) -> Float[np.ndarray, "run some"]:
    """Basis whose `basis @ basis.T` is the discrepancy's covariance of ln loss, but for a variance below `least`.

    That of several components is the mean of theirs.
    """
    if not components:
        return np.zeros((len(at), 0))
    scales, weights = np.array([scales for scales, _ in components]), np.array([weight for _, weight in components])
    weights = weights / weights.sum()
    mean = lambda u, v: np.einsum("s,sr->r", weights, _covariances(scales, u, v))[None]
    return pivoted(mean, at, least, MOST_PIVOTS)[0]


def pivoted(
    covariance: Callable[[np.ndarray, np.ndarray], np.ndarray],
    at: Float[np.ndarray, "run 2"],
    least: float,
    most: int,
) -> Float[np.ndarray, "set run some"]:
    """Pivoted Cholesky factors of several covariances at once, as in `scalefit.model.discrepancy.pivots`.

    covariance : of the places u (run, 2) with v (set, 2), (set, run).
    """
    variance = np.repeat(covariance(at[:1], at[:1]), len(at), axis=1)  # the same at all places
    sets = np.arange(len(variance))
    found = np.zeros((len(sets), len(at), most))
    for k in range(most):
        if variance.max() <= least:
            return found[..., :k]
        i = variance.argmax(1)
        own = covariance(at, at[i])
        own -= (found[..., :k] @ found[sets, i, :k, None])[..., 0]
        top = variance[sets, i, None]
        found[..., k] = np.where(top > least, own / np.sqrt(np.maximum(top, least)), 0.0)
        variance = np.where(top > least, np.maximum(variance - found[..., k] ** 2, 0.0), 0.0)
    return found


def _covariances(
    scales: Float[np.ndarray, "set scale"], u: Float[np.ndarray, "run 2"], v: Float[np.ndarray, "any 2"]
) -> Float[np.ndarray, "set run"]:
    return kernel(scales.T[..., None], u[None], v[:, None])


def explained(of: Residuals, components: Components, shared: SharedErrors | None = None) -> Explained:
    """What law and discrepancy account for: of each set of scales by its evidence, which is their marginal likelihood.

    Parameters
    ----------
    of
        The residuals.
    components
        Scales and weights; none for the law alone.
    shared
        What runs of a cluster share.
    """
    off, count = of.off, len(of.off)
    first = max(1.4826 * float(np.median(np.abs(off))), LEAST_SIZE)
    some = np.linspace(0, count - 1, min(count, FEW)).astype(int)
    some = np.argsort(of.at[:, 0], kind="stable")[some]
    slopes = of.slopes[None, some]
    if components:
        sets = np.array([scales for scales, _ in components])
        least = (0.2 * NOISE_SHARES[0] * first) ** 2
        own = pivoted(partial(_covariances, sets), of.at[some], least, CHOICE_PIVOTS)
        slopes = np.concatenate([np.repeat(slopes, len(sets), axis=0), own], axis=-1)
    if shared is not None:
        of_clusters = shared.basis(some)
        slopes = np.concatenate([slopes, np.broadcast_to(of_clusters, (len(slopes), *of_clusters.shape))], axis=-1)
    prior = np.log([weight for _, weight in components] or [1.0])
    weight = irls_weight(off / first)
    for _ in range(ROUNDS):
        log_evidence = _log_evidence(slopes, off[some], weight[some], first) + prior[:, None]
        share = np.exp(log_evidence - log_evidence.max())
        share /= share.sum()
        sigma = first * float(np.exp(share.sum(0) @ np.log(NOISE_SHARES)))
        kept = [(scales, s) for (scales, _), s in zip(components, share.sum(1), strict=False) if s > LEAST_SHARE]
        basis = np.hstack([of.slopes, discrepancy_basis(kept, of.at, (0.1 * sigma) ** 2)])
        weighted = basis * weight[:, None] if shared is None else shared.precise(basis, sigma, weight)
        small = weighted.T @ basis + sigma**2 * np.eye(basis.shape[1])
        left = off - basis @ np.linalg.solve(small, weighted.T @ off)
        if shared is not None:
            left = left - shared.common(left, sigma, weight)
        weight = irls_weight(left / sigma)
    return Explained(of, basis, sigma, left, shared)


def _log_evidence(
    basis: Float[np.ndarray, "set run some"],
    off: Float[np.ndarray, " run"],
    weight: Float[np.ndarray, " run"],
    size: float,
) -> Float[np.ndarray, "set share"]:
    """ln marginal likelihood of each set at each of the noise's scales `size * NOISE_SHARES`."""
    variance = (size * NOISE_SHARES) ** 2
    weighted = (basis * weight[:, None]).swapaxes(1, 2)
    values, vectors = np.linalg.eigh(weighted @ basis)
    along = np.einsum("sij,si->sj", vectors, weighted @ off)[:, None] ** 2
    total = np.maximum(values, 0.0)[:, None] + variance[:, None]
    fit = ((weight * off) @ off - (along / total).sum(-1)) / variance
    return -0.5 * (fit + (len(off) - values.shape[-1]) * np.log(variance) + np.log(total).sum(-1))
