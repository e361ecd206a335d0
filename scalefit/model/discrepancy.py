"""The discrepancy: a smooth process in ln loss, because every law of a few parameters is slightly wrong.

A law's loss L becomes L exp(f), but never less than the law's floor E. f is the sum of two zero-mean Gaussian processes
with squared-exponential kernels (Kennedy and O'Hagan 2001, J. R. Stat. Soc. B 63, 425, call such a term the model's
discrepancy): one in ln C alone, and one in ln C and ln(D/N), which is what can move the optimum along a budget.

How large it is, and over how many e-folds of compute it goes on, differs between sweeps. `Discrepancy` is therefore a
grid of scales with prior probabilities, and every posterior weighs them by the marginal likelihood of its own table.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from math import inf, isclose, log, sqrt
from pathlib import Path
from typing import Any, NamedTuple, Self, final

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from scalefit._atomic import atomic_write
from scalefit.counting import flops_6nd
from scalefit.errors import OptionError, StorageError
from scalefit.laws import Prior

PIVOTS = 28
TAILS = 8.0  # degrees of freedom of the exponents' prior: a table far from its middle overrules it


class Scales(NamedTuple):
    """One set of scales of the discrepancy on ln loss.

    Parameters
    ----------
    compute, compute_length
        Standard deviation of the process in ln C, and its length scale in e-folds of C.
    allocation
        Standard deviation of the process in (ln C, ln D/N).
    allocation_compute_length, allocation_ratio_length
        Its length scales, in e-folds.
    """

    compute: float
    compute_length: float
    allocation: float
    allocation_compute_length: float = 3.0
    allocation_ratio_length: float = 4.0


# A longer process is a larger one: between sweeps the law's curvature in ln C differs less than its trend does.
LENGTHS = (2.0, 4.0, 7.0, 12.0)
ALLOCATIONS = (1 / 75, 1 / 30)
CURVATURE = 0.002


def scale_grid(
    curvature: float = CURVATURE,
    lengths: tuple[float, ...] = LENGTHS,
    allocations: tuple[float, ...] = ALLOCATIONS,
    allocation_lengths: tuple[float, float] = (3.0, 4.0),
) -> tuple[Scales, ...]:
    """Every pair of a length and an allocation scale, with compute = curvature length^2."""
    return tuple(Scales(curvature * c * c, c, a, *allocation_lengths) for c in lengths for a in allocations)


@final
@dataclass(frozen=True)
class Evidence:
    """What scales were learned from, and how often 90 % intervals contained larger runs of other studies.

    Parameters
    ----------
    studies, families, cases
        How many sweeps, of how many sources, and how many sweeps cut by compute.
    times
        The cuts, (cut,): largest compute over that of the runs fitted.
    loss_90, size_90
        Share of the larger runs' losses, and of ln N at their isoFLOP minima, inside the intervals, (cut,), every
        family counting the same.
    worst_family, worst_90
        The family whose losses were inside least often, and how often.
    """

    studies: int
    families: int
    cases: int
    times: tuple[float, ...]
    loss_90: tuple[float, ...]
    size_90: tuple[float, ...]
    worst_family: str
    worst_90: float


@cache
def learned_evidence() -> Evidence:
    """What the default scales were learned from, as benchmarks/learn_discrepancy.py measured it."""
    stored = json.loads(files("scalefit.model").joinpath("learned_evidence.json").read_text())
    given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()}
    return Evidence(**given)


@final
@dataclass(frozen=True)
class Discrepancy:
    """Scales that the discrepancy may have; the defaults were learned by benchmarks/learn_discrepancy.py.

    Parameters
    ----------
    scales
        The sets of scales that are weighed against each other.
    probability
        Prior probability of each, or None for the same of all.
    exponent
        Prior of alpha and beta beside a discrepancy, with which the runs inform them less: its median, and the scale of
        its logarithm, a t distribution of `TAILS` degrees of freedom. None keeps the law's prior.

    Raises
    ------
    OptionError
        A scale is not positive, or the probabilities are not those of the scales.
    """

    scales: tuple[Scales, ...] = scale_grid()
    probability: tuple[float, ...] | None = None
    exponent: tuple[float, float] | None = (0.34, 0.12)

    def __post_init__(self) -> None:
        numbers = [number for scales in self.scales for number in scales]
        pair = (1.0, 1.0) if self.exponent is None else self.exponent
        if not numbers or len(pair) != 2 or not all(0 < number < inf for number in (*numbers, *pair)):
            raise OptionError(f"{self}: every scale of a discrepancy is positive; discrepancy=None leaves it out.")
        shares = self.probabilities
        if len(shares) != len(self.scales) or not min(shares) > 0 or not isclose(sum(shares), 1, abs_tol=1e-6):
            raise OptionError("the probabilities of a discrepancy are positive, one for each scale, and sum to 1.")

    @classmethod
    def fixed(
        cls,
        compute: float,
        compute_length: float,
        allocation: float,
        allocation_lengths: tuple[float, float] = (3.0, 4.0),
        exponent: tuple[float, float] | None = (0.34, 0.12),
    ) -> Self:
        """A discrepancy of known scales."""
        return cls((Scales(compute, compute_length, allocation, *allocation_lengths),), exponent=exponent)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """From its fields as JSON keeps them, with lists for tuples."""
        if any(len(scales) != len(Scales._fields) for scales in stored["scales"]):
            raise ValueError(f"a set of scales has {len(Scales._fields)} numbers")
        tuples = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items() if name != "scales"}
        return cls(scales=tuple(Scales(*map(float, scales)) for scales in stored["scales"]), **tuples)

    @property
    def probabilities(self) -> tuple[float, ...]:
        """Of all scales."""
        return self.probability or (1 / len(self.scales),) * len(self.scales)

    @property
    def evidence(self) -> Evidence | None:
        """How often intervals with these scales contained larger runs: known of the defaults only."""
        return learned_evidence() if self == Discrepancy() else None

    @property
    def priors(self) -> dict[str, Prior]:
        """Of the exponents, by name."""
        if self.exponent is None:
            return {}
        median, scale = self.exponent
        return dict.fromkeys(("alpha", "beta"), Prior.of("LogStudentT", df=TAILS, loc=log(median), scale=scale))


def write_discrepancy(scales: Discrepancy, path: str | Path) -> None:
    """Write the scales to a JSON file."""
    atomic_write(Path(path), json.dumps(asdict(scales), indent=1).encode() + b"\n")


def read_discrepancy(path: str | Path) -> Discrepancy:
    """The scales that `write_discrepancy` wrote. Raises `StorageError` where the file holds anything else."""
    try:
        return Discrepancy.of(json.loads(Path(path).read_text()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as problem:
        raise StorageError(
            f"{path} holds no scales of a discrepancy ({problem}); `scalefit learn-discrepancy` writes them."
        ) from None


def coordinates(x: Mapping[str, Any]) -> Any:
    """(ln C, ln D/N) of runs with C = 6 N D, (..., 2)."""
    xp: Any = jnp if isinstance(x["params"], Array) else np
    n, d = x["params"], x["tokens"]
    return xp.stack([xp.log(flops_6nd(n, d)), xp.log(d / n)], axis=-1)


def kernel(scales: Any, u: Any, v: Any) -> Any:
    """Covariance of f between coordinates u (..., 2) and v (..., 2), elementwise."""
    one, length, two, length_c, length_ratio = scales
    xp: Any = jnp if isinstance(u, Array) or isinstance(v, Array) else np
    off_c, off_ratio = u[..., 0] - v[..., 0], u[..., 1] - v[..., 1]
    along = one**2 * xp.exp(-0.5 * (off_c / length) ** 2)
    return along + two**2 * xp.exp(-0.5 * ((off_c / length_c) ** 2 + (off_ratio / length_ratio) ** 2))


def pivots(
    scales: Any, u: Float[np.ndarray, "run 2"]
) -> tuple[Float[np.ndarray, "some 2"], Float[np.ndarray, "run pivot"]]:
    """The `PIVOTS` coordinates among u that say most about the others, and a basis at the runs.

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


LEAST_REDUCIBLE = 1e-6  # share of the loss: a law that is all floor has none
SOFT = 0.05  # of the reducible loss: about how near to its floor a loss comes before the floor shows


def shifted(loss: Any, floor: Any, f: Any) -> Any:
    """A law's loss L with its discrepancy: L exp(f), but above the floor E. Elementwise.

    It is E + (L - E) g(r) / g(1), with g(r) = r + sqrt(r^2 + 4 SOFT^2) of r = (L exp(f) - E) / (L - E). That is r,
    unless nearly all of the reducible loss would be gone.
    """
    xp: Any = jnp if isinstance(loss, Array) else np
    reducible = xp.maximum(loss - floor, LEAST_REDUCIBLE * loss)
    left = (loss * xp.exp(f) - floor) / reducible
    far = xp.abs(left) + xp.sqrt(left**2 + 4 * SOFT**2)
    return floor + reducible * xp.where(left > 0, far, 4 * SOFT**2 / far) / (1 + sqrt(1 + 4 * SOFT**2))
