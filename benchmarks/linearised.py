"""A law with discrepancy made jointly Gaussian, in milliseconds, and worlds of law plus discrepancy to try it on.

The law is linearised at its mode, the noise is a normal with robust weights, and every set of scales of the
discrepancy has a closed form; sets are weighed by their marginal likelihoods. It is a stand-in for the full engine
where thousands of posteriors are needed.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import least_squares

import scalefit as sf
from scalefit.model.discrepancy import Scales, kernel

LEARNED = sf.Discrepancy().scales
LAW_ONLY = (Scales(1e-6, 4.0, 1e-6),)
LINE = np.arange(-3, 3.01, 0.1)  # ln N from the law's optimum
FINE = np.arange(10, 34, 0.01)  # ln N
SHARES = (0.5, 1.0)  # of the noise found around the law alone
SMALLEST = 5e-4
ROBUST_DF = 4.0
STEPS = 3


def law(u, x):
    """ln L at x = ln N, ln D of u = ln E, ln A, ln B, ln alpha, ln beta."""
    return np.logaddexp(np.logaddexp(u[0], u[1] - np.exp(u[3]) * x[:, 0]), u[2] - np.exp(u[4]) * x[:, 1])


def slope(u, x):
    """d ln L / du, (run, 5)."""
    alpha, beta = np.exp(u[3]), np.exp(u[4])
    p, q = np.exp(u[1] - alpha * x[:, 0]), np.exp(u[2] - beta * x[:, 1])
    return (
        np.stack([np.full(len(x), np.exp(u[0])), p, q, -alpha * x[:, 0] * p, -beta * x[:, 1] * q], 1)
        / (np.exp(u[0]) + p + q)[:, None]
    )


def on_line(log_n, flops):
    """ln N, ln D of sizes at a compute."""
    return np.column_stack([log_n, np.log(flops / 6) - log_n])


def turned(x):
    """ln C (up to a constant) and ln D/N: the coordinates of the discrepancy."""
    return np.column_stack([x.sum(1), x[:, 1] - x[:, 0]])


def covariance(scales, a, b):
    """Of the discrepancy between two sets of runs."""
    return kernel(scales, turned(a)[:, None], turned(b)[None])


def optimum(u, flops, centre):
    """ln N at a law's optimum, where e-folds of N and of D gain the same."""
    alpha, beta = np.exp(u[3]), np.exp(u[4])
    gap = u[1] + u[3] - u[2] - u[4]
    return (gap + alpha * centre[0] + beta * (np.log(flops / 6) - centre[1])) / (alpha + beta)


class Data:
    """Runs in centred logarithms, the law's robust mode, and the noise around it."""

    def __init__(self, at, losses, start=None):
        self.at, self.centre = at, at.mean(0)
        self.x, self.y = at - self.centre, np.log(losses)
        level = self.y.mean()
        self.mean = np.array([level + np.log(0.55), *2 * [level + np.log(0.25)], *2 * [np.log(0.34)]])
        self.prior = np.diag(np.square([0.4, 1.0, 1.0, 0.12, 0.12]))
        wide = np.array([0.4, 1.0, 1.0, 0.45, 0.45])
        target = lambda u: np.r_[(law(u, self.x) - self.y) / 0.004, (u - self.mean) / wide]
        jac = lambda u: np.r_[slope(u, self.x) / 0.004, np.diag(1 / wide)]
        starts = [np.r_[self.mean[:3], np.log(a), np.log(b)] for a in (0.25, 0.5) for b in (0.25, 0.5)]
        if start is not None:
            x = start.centre - self.centre  # the same law about another middle
            starts = [start.u - np.r_[0, np.exp(start.u[3:]) * -x, 0, 0]]
        found = [least_squares(target, s, jac, loss="soft_l1", max_nfev=60) for s in starts]
        self.u = min(found, key=lambda each: each.cost).x
        left = self.y - law(self.u, self.x)
        self.sigma = max(1.4826 * np.median(np.abs(left - np.median(left))), SMALLEST)
        self.weight = np.clip((ROBUST_DF + 1) / (ROBUST_DF + (left / self.sigma) ** 2), 0.02, 1.25)


def posteriors(data, at, grid):
    """Of every set of scales: mean and covariance of ln L at `at`, variance of the noise, ln marginal likelihood."""
    to, count = at - data.centre, len(grid)
    train, cross, own = (
        np.array([covariance(scales, a, b) for scales in grid]) for a, b in ((data.x, data.x), (to, data.x), (to, to))
    )
    best = np.full(count, -np.inf)
    mean, cov, noise = np.zeros((count, len(to))), np.zeros((count, len(to), len(to))), np.zeros(count)
    for share in SHARES:
        u, move = np.tile(data.u, (count, 1)), np.zeros((count, 5))
        for _ in range(STEPS):
            u = u + move * np.minimum(1, 0.7 / np.maximum(np.abs(move).max(1, keepdims=True), 1e-9))
            j = np.array([slope(each, data.x) for each in u])
            off = np.array([data.y - law(each, data.x) for each in u])
            left = off + np.einsum("kij,kj->ki", j, u - data.mean)
            jp = j @ data.prior
            scatter = np.diag((data.sigma * share) ** 2 / data.weight)
            root = np.linalg.cholesky(jp @ j.transpose(0, 2, 1) + train + scatter)
            half = np.linalg.solve(root, left[..., None])
            dual = np.linalg.solve(root.transpose(0, 2, 1), half)[..., 0]
            move = data.mean + np.einsum("kij,ki->kj", jp, dual) - u
        diagonal = np.diagonal(root, axis1=1, axis2=2)
        evidence = -0.5 * (half[..., 0] ** 2).sum(1) - np.log(diagonal).sum(1)
        for k in np.flatnonzero(evidence > best):
            near = slope(u[k], to)
            both = near @ data.prior @ j[k].T + cross[k]
            solved = np.linalg.solve(root[k], both.T)
            mean[k] = law(u[k], to) - near @ (u[k] - data.mean) + both @ dual[k]
            cov[k] = near @ data.prior @ near.T + own[k] - solved.T @ solved
            noise[k] = (ROBUST_DF + 3) / (ROBUST_DF + 1) * (data.sigma * share) ** 2
        best = np.maximum(best, evidence)
    return mean, cov, noise, best


@dataclass(frozen=True, eq=False)
class Belief:
    """The posterior of ln L along the line of a budget, and at candidates."""

    data: Data
    budget: float
    candidates: np.ndarray
    grid: tuple = LEARNED

    @cached_property
    def log_n(self):
        """Sizes along the budget's line."""
        return optimum(self.data.u, self.budget, self.data.centre) + LINE

    @cached_property
    def parts(self):
        """Of every set of scales, and their probabilities."""
        earlier = optimum(self.data.u, self.budget / 10, self.data.centre)
        at = [on_line(self.log_n, self.budget), on_line(np.array([earlier]), self.budget / 10), self.candidates]
        mean, cov, noise, evidence = posteriors(self.data, np.concatenate(at), self.grid)
        share = np.exp(evidence - evidence.max())
        return mean, cov, noise, share / share.sum()

    @cached_property
    def expected(self):
        """ln of the expected loss along the line; the plan is its minimum."""
        mean, cov, _, share = self.parts
        k = len(LINE)
        return np.log(share @ np.exp(mean[:, :k] + 0.5 * np.diagonal(cov, axis1=1, axis2=2)[:, :k]))

    @property
    def plan(self):
        """Its place on the line."""
        return int(np.argmin(self.expected))

    @property
    def noise(self):
        """Variance of one run's ln loss."""
        return float(self.parts[2] @ self.parts[3])

    @cached_property
    def per_nat(self):
        """FLOP of the budget that save a nat, between a tenth of it and all."""
        mean, *_, share = self.parts
        return np.log(10) / (np.exp(share @ mean[:, len(LINE)]) - np.exp(self.expected.min())) * self.budget

    def draws(self, count=1000, seed=1, line_only=False):
        """Losses along the line, and ln losses of the candidates, draw by draw."""
        rng, found = np.random.default_rng(seed), []
        mean, cov, _, share = self.parts
        k = len(LINE)
        keep = np.r_[: k if line_only else mean.shape[1]]
        for each, c, some in zip(mean, cov, rng.multinomial(count, share), strict=True):
            if some:
                inner = c[np.ix_(keep, keep)]
                root = np.linalg.cholesky(inner + 1e-10 * inner.diagonal().max() * np.eye(len(keep)))
                found.append(each[keep] + rng.standard_normal((some, len(keep))) @ root.T)
        joined = np.concatenate(found)
        return np.exp(joined[:, :k]), joined[:, k + 1 :]


MOST_TRIES = 60
LARGEST = 1e20  # FLOP of a sweep's largest run: the unit of cost
DESIGNS = ("isoflop", "random", "ray")
TARGETS = (30.0, 100.0)
LABORATORY = tuple(Scales(s, c, 0.015, 4.0, 3.0) for s, c in ((0.015, 3.0), (0.025, 4.0), (0.05, 6.0), (0.12, 8.0)))
TRUTHS = {
    "learned": LEARNED,
    "rougher": tuple(s._replace(allocation_compute_length=2.0, allocation_ratio_length=2.0) for s in LEARNED),
    "smoother": tuple(s._replace(allocation_compute_length=5.0, allocation_ratio_length=7.0) for s in LEARNED),
    "laboratory": LABORATORY,
}


def points(flops, ratio):
    """ln N, ln D of compute and tokens per parameter, (point, 2)."""
    parts = np.broadcast_arrays(np.log(flops / 6 / ratio), np.log(flops / 6 * ratio))
    return 0.5 * np.stack(parts, -1)


HOME = points(LARGEST, 20.0)
POOL = np.concatenate([points(LARGEST * c, 20 * 1.8 ** np.arange(-5, 6)) for c in 3.0 * 3.0 ** (-np.arange(11) / 2)])
COST = np.exp(POOL.sum(1)) * 6 / LARGEST
RATIO = np.exp(POOL[:, 1] - POOL[:, 0])


class World:
    """A surface ln L, of a law and a path of the discrepancy (random Fourier features); a sweep of it; a budget."""

    def __init__(self, seed, design, target, truth="learned"):
        rng, scales, self.budget = np.random.default_rng(seed), TRUTHS[truth], LARGEST * target
        for _ in range(MOST_TRIES):  # a tuned run does not lose by more tokens, or by more parameters on enough tokens
            self._draw(rng, scales[seed % len(scales)])
            if self._falls():
                break
        self.sigma, rng = 0.004 * np.exp(0.3 * rng.standard_normal()), np.random.default_rng([seed, len(design)])
        if design == "isoflop":
            at = np.concatenate([points(LARGEST / k, 20 * np.exp(np.linspace(-2, 2, 9))) for k in (16, 4, 1)])
        else:
            flops = LARGEST * 100 ** -np.r_[0, rng.uniform(0, 1, 29 if design == "random" else 23)]
            spread = rng.uniform(-2, 2, len(flops)) if design == "random" else 0.15 * rng.standard_normal(len(flops))
            at = points(flops, 20 * np.exp(spread))
        self.at, self.losses = at, self.run(at, rng)
        expected = self.surface(POOL)  # results are the same for every rule
        self.results = np.exp(expected + self.sigma * rng.standard_t(5, (14, len(POOL))))
        self.log_n = FINE[np.abs(FINE - optimum(self.u, self.budget, HOME)) < 5]
        self.line, earlier = (np.exp(self.surface(on_line(self.log_n, f))) for f in (self.budget, self.budget / 10))
        self.least = self.line.min()
        self.per_nat = np.log(10) / (earlier.min() - self.least) * self.budget  # FLOP

    def _draw(self, rng, scales):
        """A law and a path."""
        one, length, two, length_c, length_r = scales
        alpha, beta = np.exp(np.log(0.34) + 0.12 * rng.standard_normal(2))
        reducible, ratio = 0.74 * np.exp(0.15 * rng.standard_normal()), 20 * np.exp(0.5 * rng.standard_normal())
        terms = np.log(reducible * np.array([beta, alpha]) / (alpha + beta))
        terms = terms + np.array([alpha, beta]) * (points(LARGEST, ratio) - HOME)
        self.u = np.r_[np.log(1.7) + 0.08 * rng.standard_normal(), terms, np.log([alpha, beta])]
        z, second = rng.standard_normal((3, 600)), np.arange(600) >= 300
        self.frequency = np.c_[z[0] / np.where(second, length_c, length), second * z[1] / length_r]
        self.weight = z[2] * np.where(second, two, one) / np.sqrt(150)
        self.phase = rng.uniform(0, 2 * np.pi, 600)

    def _falls(self):
        """Whether ln L falls and stays above the floor, up to a hundred times the largest run."""
        n, d = (np.linspace(each - 2.3, each + 3.7, 13) for each in HOME + 1)
        at = np.stack(np.meshgrid(n, d, indexing="ij"), -1)
        log_loss = self.surface(at.reshape(-1, 2)).reshape(at.shape[:2])
        reached = at.sum(-1) <= np.log(100 * LARGEST / 6)
        seen = (at[..., 1] - at[..., 0] >= np.log(20) - 2) & reached
        in_d, in_n = np.diff(log_loss, axis=1) < 0, np.diff(log_loss, axis=0) < 0
        above = log_loss > self.u[0]
        return (in_d | ~reached[:, 1:]).all() and (in_n | ~seen[1:]).all() and (above | ~reached).all()

    def surface(self, at):
        """ln L, without noise."""
        x = at - HOME
        return law(self.u, x) + np.cos(turned(x) @ self.frequency.T + self.phase) @ self.weight

    def run(self, at, rng):
        """Losses that runs log."""
        return np.exp(self.surface(at) + self.sigma * rng.standard_t(5, len(at)))

    def with_results(self, picks):
        """Places and losses of the sweep and of these candidates."""
        seen = [self.results[list(picks[:k]).count(i), i] for k, i in enumerate(picks)]
        return np.concatenate([self.at, POOL[list(picks)]]), np.r_[self.losses, seen]

    def after(self, picks, candidates=POOL):
        """The posterior with the results of these candidates."""
        return Belief(Data(*self.with_results(picks), self.start if len(picks) else None), self.budget, candidates)

    @cached_property
    def start(self):
        """The law's mode on the sweep alone."""
        return Data(self.at, self.losses)

    def regret(self, log_n):
        """Of a plan, in nats."""
        return float(np.interp(log_n, self.log_n, self.line) - self.least)
