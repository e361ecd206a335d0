"""What runs to come would teach: expected value of sample information, by a Gaussian step from draws.

What is asked (the losses that a decision compares, or a quantity to be forecast) and the ln losses of candidate runs
are taken as jointly Gaussian, with the moments of the posterior's draws. An outcome then moves the means of what is
asked along one direction per run, and the value of runs is the mean over outcomes of what the decision made afterwards
saves: the loss of today's choice minus the least loss, paired on the same outcome.

References
----------
Raiffa & Schlaifer 1961, Applied Statistical Decision Theory, chapter 4: the value of sample information.
Jalal & Alarid-Escudero 2018, Med. Decis. Making 38, 174: its Gaussian approximation from draws.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Self

import numpy as np
from jaxtyping import Float, Int

from scalefit._random import quasirandom

PAIRS = 64  # of outcomes and their mirror images
RANK = 3  # directions of earlier runs that are kept: of a decision along a line, slope and curvature are nearly all

Gain = Callable[["GaussianStep"], Float[np.ndarray, " candidate"]]


@dataclass(frozen=True, eq=False)
class GaussianStep:
    """Moments of what is asked and of candidate runs, given the runs already taken.

    Parameters
    ----------
    cross
        Covariance of what is asked with the candidates' expected ln losses.
    own
        Covariance of these.
    noise
        Variance of one run around its expected ln loss.
    factor
        How far each run taken moves what is asked, per standard normal.
    """

    cross: Float[np.ndarray, "asked candidate"]
    own: Float[np.ndarray, "candidate candidate"]
    noise: float
    factor: Float[np.ndarray, "asked run"]

    @classmethod
    def of(
        cls, asked: Float[np.ndarray, "draw asked"], seen: Float[np.ndarray, "draw candidate"], noise: float
    ) -> Self:
        """From draws of what is asked and of the candidates' expected ln losses."""
        off, count = seen - seen.mean(axis=0), len(seen) - 1
        cross = (asked - asked.mean(axis=0)).T @ off / count
        return cls(cross, off.T @ off / count, noise, np.zeros((asked.shape[1], 0)))

    @property
    def ahead(self) -> Float[np.ndarray, "asked candidate"]:
        """How far each candidate would move what is asked, per standard normal."""
        return self.cross / self._sd

    @property
    def _sd(self) -> Float[np.ndarray, " candidate"]:
        return np.sqrt(np.maximum(np.diag(self.own), 0.0) + self.noise)

    def given(self, candidate: int) -> Self:
        """The same once a candidate has been run."""
        sd = self._sd[candidate]
        asked, own = self.cross[:, candidate] / sd, self.own[:, candidate] / sd
        return replace(
            self,
            cross=self.cross - np.outer(asked, own),
            own=self.own - np.outer(own, own),
            factor=np.column_stack([self.factor, asked]),
        )


@cache
def outcomes(dim: int) -> Float[np.ndarray, "outcome dim"]:
    """Standard normals: spread evenly, in pairs of opposite sign, with exactly the identity as covariance.

    The value of a small movement is quadratic in it, so that these second moments are most of the accuracy.
    """
    from scipy.special import ndtri

    half = ndtri(quasirandom(PAIRS, dim))
    both = np.concatenate([half, -half])
    root = np.linalg.cholesky(both.T @ both / len(both))
    return np.linalg.solve(root, both.T).T


@dataclass(frozen=True, eq=False)
class Decision:
    """A choice of the option of least mean loss, now and after runs to come.

    Parameters
    ----------
    losses
        Of every option in every draw.
    """

    losses: Float[np.ndarray, "draw option"]

    @property
    def best(self) -> int:
        """Today's choice."""
        return int(self.losses.mean(axis=0).argmin())

    @property
    def asked(self) -> Float[np.ndarray, "draw option"]:
        """Losses above that of today's choice: what a `GaussianStep` is asked about."""
        return self.losses - self.losses[:, [self.best]]

    @property
    def regret(self) -> float:
        """Expected loss above that of each draw's best option: what all information together would save."""
        return float((self.losses[:, self.best] - self.losses.min(axis=1)).mean())

    def after(self, step: GaussianStep) -> tuple[Float[np.ndarray, " outcome"], Int[np.ndarray, " outcome"]]:
        """What the runs taken save under each outcome, and the option chosen then."""
        later = self._base(step, 0)
        return -later.min(axis=0), later.argmin(axis=0)

    def saved(self, step: GaussianStep) -> Float[np.ndarray, "outcome candidate"]:
        """What the runs taken and one candidate save under each outcome."""
        base, ahead = self._base(step, 1), step.ahead[: len(self._excess)]
        last = outcomes(min(step.factor.shape[1], RANK) + 1)[:, -1]
        found = np.empty((len(last), ahead.shape[1]))
        for each, normal in enumerate(last):  # one outcome at a time stays in the cache
            found[each] = -(base[:, each, None] + normal * ahead).min(axis=0)
        return found

    def gain(self, step: GaussianStep) -> Float[np.ndarray, " candidate"]:
        """What each candidate adds to the runs taken."""
        return (self.saved(step) + self._base(step, 1).min(axis=0)[:, None]).mean(axis=0)

    @property
    def _excess(self) -> Float[np.ndarray, " option"]:
        mean = self.losses.mean(axis=0)
        return mean - mean.min()

    def _base(self, step: GaussianStep, more: int) -> Float[np.ndarray, "option outcome"]:
        """Mean losses above today's choice after the runs taken, with so many normals left for more runs."""
        factor = step.factor[: len(self._excess)]
        if factor.shape[1] > RANK:
            u, scale, _ = np.linalg.svd(factor, full_matrices=False)
            factor = (u * scale)[:, :RANK]
        count = factor.shape[1]
        normals = outcomes(max(count + more, 1))[:, :count]
        return self._excess[:, None] + factor @ normals.T


def variance_gain(row: int, variance: float) -> Gain:
    """Of each candidate, the share of the variance of one quantity asked about that it takes away."""
    return lambda step: step.ahead[row] ** 2 / variance
