"""An error that the runs of a cluster share: checkpoints of one run, repeated seeds, several evaluations of a run.

Given law and noise, the errors of different clusters are independent, so that each is integrated out by itself, by
Gauss and Hermite's quadrature around its mode (Naylor and Smith 1982, Appl. Stat. 31, 214).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, final

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Int

from scalefit._batching import padded_rows
from scalefit.laws import Param, Prior, Values
from scalefit.model.noise import LEAST_SIGMA, Noise, StudentT

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

SHARED = "sigma_cluster"
PRIOR = Prior("HalfNormal", (("scale", 0.05),), LEAST_SIGMA)
NODES, LONE_NODES = 5, 9  # of quadrature: for a cluster, and for a run alone in its cluster, which is less normal
WIDER = 1.2  # than the curvature says are nodes apart, for heavy tails
SWEEPS = 2  # of reweighted least squares towards the mode: nodes need only be near it
LEAST_CLUSTERS = 16  # that there is room for
SMALL = 1e-3  # of sigma: nearer residuals have the IRLS weight of this one


class Clusters(NamedTuple):
    """Which runs share an error.

    Runs are laid out in lines, each of one cluster, so that sums over clusters are sums along an axis: scattering every
    run to its cluster takes four times as long. A large cluster among small ones has several lines.

    Attributes
    ----------
    of_run
        Number of each run's cluster.
    real
        1 for each cluster, 0 for padding.
    run
        Number of the run in each place of each line.
    taken
        1 for each place that has a run, 0 for the others.
    of_line
        Number of each line's cluster; None where clusters have a line each, in their order.
    """

    of_run: Int[Array, " run"]
    real: Float[Array, " cluster"]
    run: Int[Array, "place line"]
    taken: Float[Array, "place line"]
    of_line: Int[Array, " line"] | None

    def total(self, values: Float[Array, "run ..."]) -> Float[Array, "cluster ..."]:
        """Sums over the runs of every cluster."""
        return jax.ops.segment_sum(values, self.of_run, num_segments=len(self.real))

    def in_lines(self, values: Any) -> Any:
        """Values (run,) in the places of lines; numbers as they are."""
        return values[self.run] if jnp.ndim(values) else values

    def total_of_lines(self, values: Float[Array, "*node place line"]) -> Float[Array, "*node cluster"]:
        """`total` of what is in lines."""
        of_lines = values.sum(axis=-2)
        if self.of_line is None:
            return of_lines
        return jnp.zeros((*of_lines.shape[:-1], len(self.real)), values.dtype).at[..., self.of_line].add(of_lines)

    def at_lines(self, values: Float[Array, "*node cluster"]) -> Float[Array, "*node 1 line"]:
        """What every cluster has, for each of its lines."""
        return (values if self.of_line is None else values[..., self.of_line])[..., None, :]


class Layout(NamedTuple):
    """How many clusters, lines and places in a line tables have room for; lines are 0 where each cluster is one."""

    clusters: int
    lines: int
    places: int

    @classmethod
    def of(cls, counts: Int[np.ndarray, " cluster"]) -> "Layout":
        """For clusters of so many runs: the fewest places, where a line of several counts like three of them."""
        clusters = _roomy(len(counts))
        found = []
        for places in (each for k in range(40) for each in (2**k, 3 * 2 ** max(k - 1, 0))):
            lines = int((-(-counts // places)).sum())
            if lines == len(counts):
                found.append((clusters * places, cls(clusters, 0, places)))
                break
            found.append((_roomy(lines) * (places + 3), cls(clusters, _roomy(lines), places)))
        return min(found)[1]

    def lay(self, of_run: Int[np.ndarray, " run"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fields `run`, `taken` and `of_line` of `Clusters`."""
        order = np.argsort(of_run, kind="stable")
        counts = np.bincount(of_run)
        place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        lines = -(-counts // self.places)
        line = np.repeat(np.cumsum(lines) - lines, counts) + place // self.places
        shape = self.places, self.lines or self.clusters
        run, taken, of_line = np.zeros(shape, np.int32), np.zeros(shape), np.zeros(shape[1], np.int32)
        run[place % self.places, line], taken[place % self.places, line] = order, 1.0
        of_line[line] = of_run[order]
        return run, taken, of_line


def _roomy(count: int) -> int:
    """Four sizes an octave, so that tables share programs."""
    return len(padded_rows(count, max(LEAST_CLUSTERS, 2 ** (count - 1).bit_length() // 4)))


@final
@dataclass(frozen=True)
class Clustered(Noise, registered=False):
    """Noise of single runs, and beside it a normal error that all runs of a cluster share; of a run alone, both.

    Models get it from tables that have clusters.

    Parameters
    ----------
    of
        The noise of single runs.
    """

    of: Noise = field(default_factory=StudentT)

    @property
    def name(self) -> str:  # type: ignore[override]
        """That of the noise, which has clusters."""
        return f"clustered {self.of.name}"

    def params(self) -> tuple[Param, ...]:
        """Those of the noise, and sigma_cluster."""
        return *self.of.params(), Param(SHARED, PRIOR, "scale of the error on ln loss that runs of a cluster share")

    def distribution(self, theta: Values, log_loss: Any) -> "Distribution":
        """Of a run alone in its cluster."""
        from numpyro import distributions

        noise = self

        class OneRun(distributions.Distribution):
            support = distributions.constraints.real

            def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
                of_run, of_cluster = jax.random.split(key)
                alone = noise.of.distribution(theta, log_loss).sample(of_run, sample_shape)
                return alone + theta[SHARED] * jax.random.normal(of_cluster, alone.shape, alone.dtype)

            def log_prob(self, value: Array) -> Array:
                return noise.log_density(theta, value - log_loss)

        return OneRun(batch_shape=jnp.shape(log_loss))

    def log_density(self, theta: Values, r: Float[Array, "*run"]) -> Float[Array, "*run"]:
        """Of a run alone in its cluster."""
        alone = lambda values: values
        return _integrated(self.of, theta, jnp.asarray(r), 1.0, alone, alone, LONE_NODES)

    def sample(
        self, theta: Values, log_loss: Float[np.ndarray, " draw *run"], rng: np.random.Generator
    ) -> Float[np.ndarray, " draw *run"]:
        """Every run has a cluster's error of its own."""
        scale = np.asarray(theta[SHARED], dtype=float).reshape(-1, *[1] * (log_loss.ndim - 1))
        return self.of.sample(theta, log_loss + scale * rng.standard_normal(log_loss.shape), rng)

    def guess(self, size: Any) -> dict[str, Any]:
        """Half of the variance each."""
        return {**self.of.guess(0.7 * size), SHARED: 0.7 * size}


def of_single_runs(noise: Noise) -> Noise:
    """The noise without errors that runs share."""
    return noise.of if isinstance(noise, Clustered) else noise


def log_density_of_clusters(
    noise: Noise,
    theta: Values,
    r: Float[Array, " run"],
    weight: Float[Array, " run"],
    clusters: Clusters,
    precision: Float[Array, " run"] | None = None,
) -> Float[Array, " cluster"]:
    """ln density of the ln residuals of every cluster's runs together.

    Parameters
    ----------
    noise
        Of single runs, given their cluster's error.
    theta
        Its parameters, scalars or one a run, and sigma_cluster.
    r
        ln residuals off law and discrepancy.
    weight
        How often each run counts.
    clusters
        Which runs share an error.
    precision
        Of each run's own noise about where it lies, as IRLS has it; None finds it.
    """
    r, weight, known = (clusters.in_lines(each) for each in (r, weight, 0.0 if precision is None else precision))
    weight, theta = weight * clusters.taken, {name: clusters.in_lines(values) for name, values in theta.items()}
    known = None if precision is None else known * clusters.taken
    found = _integrated(noise, theta, r, weight, clusters.total_of_lines, clusters.at_lines, NODES, known)
    return clusters.real * found


def irls_precision(noise: Noise, theta: Values, r: Float[Array, "*run"]) -> Float[Array, "*run"]:
    """Precision that iteratively reweighted least squares (IRLS) gives each ln residual."""
    sigma = theta["sigma"]
    r = jnp.where(jnp.abs(r) < SMALL * sigma, SMALL * sigma, r)
    return jnp.maximum(-jax.grad(lambda r: noise.log_density(theta, r).sum())(r) / r, 0.0)


def _integrated(
    noise: Noise,
    theta: Values,
    r: Float[Array, "*run"],
    weight: Any,
    total: Callable[[Array], Array],
    at_runs: Callable[[Array], Array],
    nodes: int,
    known: Float[Array, "*run"] | None = None,
) -> Float[Array, "*cluster"]:
    """ln integral over each cluster's error; `total` sums over its runs, `at_runs` repeats its value for them."""
    scale = theta[SHARED]

    def near(r: Array, theta: Values, known: Array | None) -> tuple[Array, Array]:
        """The mode, and the width there."""
        prior = 1 / theta[SHARED] ** 2
        mean = lambda p: total(p * r) / (prior + total(p))
        if known is not None:
            return mean(known), WIDER / jnp.sqrt(prior + total(known))
        precision = lambda rest: weight * irls_precision(noise, theta, rest)
        sweep = lambda _, mode: mean(precision(r - at_runs(mode)))
        mode = jax.lax.fori_loop(0, SWEEPS, sweep, mean(precision(jnp.zeros_like(r))))
        return mode, WIDER / jnp.sqrt(prior + total(precision(r - at_runs(mode))))

    # The integral does not depend on where its nodes are, so neither do its derivatives.
    mode, width = near(*jax.lax.stop_gradient((r, dict(theta), known)))
    node, log_weight = _nodes(nodes)
    each = lambda values: jnp.asarray(values, r.dtype).reshape(-1, *[1] * mode.ndim)
    errors = mode + each(node) * width
    log_joint = total(weight * noise.log_density(theta, r - at_runs(errors)))
    log_joint = log_joint - 0.5 * (errors / scale) ** 2 + each(log_weight)
    return logsumexp(log_joint, axis=0) + jnp.log(width / scale)


def _nodes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes for a normal of variance one, and ln of their weights over its density."""
    node, weight = np.polynomial.hermite_e.hermegauss(count)
    return node, np.log(weight) - 0.5 * np.log(2 * np.pi) + 0.5 * node**2
