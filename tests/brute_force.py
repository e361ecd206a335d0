"""Every decision by brute force: the same draws on a dense grid of ln N x ln D, NumPy alone but for the discrepancy."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from scipy.interpolate import make_interp_spline

from scalefit._precision import precision
from scalefit.model.discrepancy import shifted
from scalefit.model.paths import discrepancies_at

STEP = 0.03  # of both grids, so that C = 6 N D is the same along an anti-diagonal
KNOTS = 8  # steps between points at which the smooth discrepancy is evaluated; cubic splines join them


def thinned(fit, count=32):
    """The same fit with `count` of its draws with discrepancy."""
    post, few = fit.discrepancy_posterior, replace(fit)
    draws = len(next(iter(post.theta.values())))
    rows = np.arange(count) * draws // count
    of_draws = lambda leaves: {name: v[rows] if len(v) == draws else v for name, v in leaves.items()}
    parts = {name: of_draws(getattr(post, name)) for name in ("theta", "paths")}
    vars(few)["discrepancy_posterior"] = replace(post, **parts, sd_at_runs=post.sd_at_runs[rows])
    return few


class BruteForce:
    """Losses of every draw on a grid, and what follows from them.

    low, high : (N, D) of its corners.
    """

    def __init__(self, fit, low, high):
        theta, paths = fit.joint_draws(True)
        law = fit.model.law
        lengths = [
            KNOTS * int(np.ceil((np.log(b) - np.log(a)) / STEP / KNOTS)) + 1 for a, b in zip(low, high, strict=True)
        ]
        self.n, self.d = (np.log(a) + STEP * np.arange(count) for a, count in zip(low, lengths, strict=True))
        columns = {name: values[:, None, None] for name, values in theta.items()}
        x = {"params": np.exp(self.n)[:, None], "tokens": np.exp(self.d)}
        floor, f = np.asarray(law.floor(columns)), _everywhere(paths, self.n, self.d)
        self.loss = shifted(np.asarray(law.loss(columns, x)), floor, f)

    def budget(self, near):
        """The budget nearest to `near` whose sizes lie on the grid."""
        first = np.log(6) + self.n[0] + self.d[0]
        return float(np.exp(first + STEP * np.round((np.log(near) - first) / STEP)))

    def line(self, budget):
        """ln N, and the losses (draw, size), along C = 6 N D."""
        k = round((np.log(budget / 6) - self.n[0] - self.d[0]) / STEP)
        i = np.arange(max(0, k - len(self.d) + 1), min(len(self.n), k + 1))
        return self.n[i], self.loss[:, i, k - i]

    def envelope(self):
        """ln C of every anti-diagonal, and the least loss on it, (draw, budget)."""
        if hasattr(self, "_envelope"):
            return self._envelope
        draws, sizes, tokens = self.loss.shape
        least = np.full((draws, sizes + tokens - 1), np.inf)
        for i in range(sizes):
            part = least[:, i : i + tokens]
            np.minimum(part, self.loss[:, i], out=part)
        self._envelope = np.log(6) + self.n[0] + self.d[0] + STEP * np.arange(sizes + tokens - 1), least
        return self._envelope

    def optimal_sizes(self):
        """ln N of the least loss on every anti-diagonal, (draw, budget)."""
        _, sizes, tokens = self.loss.shape
        _, least = self.envelope()
        found = np.full(least.shape, np.nan)
        for i in range(sizes):
            part = found[:, i : i + tokens]
            part[self.loss[:, i] == least[:, i : i + tokens]] = self.n[i]
        return found

    def jumps(self, budget):
        """Whether any draw's optimum jumps from one size to another in the three e-folds below a budget."""
        log_c, _ = self.envelope()
        near = (log_c > np.log(budget) - 3) & (log_c <= np.log(budget))
        return bool((np.abs(np.diff(self.optimal_sizes()[:, near], axis=1)) > 10 * STEP).any())

    def walled_line(self, budget, unique):
        """Losses along C = 6 N D where tokens beyond the unique ones, on the grid, change nothing, (draw, size)."""
        log_n, losses = self.line(budget)
        at_wall = self.loss[:, np.isin(self.n, log_n), int(np.argmin(np.abs(self.d - np.log(unique))))]
        return np.where(np.log(budget / 6) - log_n < np.log(unique), losses, at_wall)

    def served(self, params, level):
        """Inference tokens at which the cheapest size of a loss by 6 N D + 2 N T passes `params`, (draw,)."""
        n, spent = np.exp(self.n), 3 * np.exp(self.n + self.tokens_for(level))
        smaller, found = self.n < np.log(params), []
        for each in spent:
            low, high = -1e18, 1e18
            for _ in range(200):
                served = 0.5 * (low + high)
                total = each + served * n
                low, high = (served, high) if total[smaller].min() > total[~smaller].min() else (low, served)
            found.append(high)
        return np.array(found)

    @property
    def furthest(self):
        """ln of a budget on whose line the grid has all sizes that matter."""
        return np.log(6) + self.n[-1] + self.d[-1] - 10

    def least_log_budget(self, level):
        """ln of the least compute with which any run of a draw reaches a loss, one a draw; infinite where none does."""
        log_c, least = self.envelope()
        return first_crossing(log_c, least, np.broadcast_to(level, len(least)))

    def waste(self, level, budget):
        """Share of a budget that the least one for a loss would save."""
        return 1 - np.exp(self.least_log_budget(level) - np.log(budget))

    def at(self, params, tokens):
        """Losses of one run, (draw,), by cubic splines of the grid."""
        rows, columns = _around(self.n, np.log(params)), _around(self.d, np.log(tokens))
        some = make_interp_spline(self.n[rows], self.loss[:, rows, columns], axis=1)(np.log(params))
        return make_interp_spline(self.d[columns], some, axis=1)(np.log(tokens))

    def tokens_for(self, level):
        """ln of the fewest tokens with which each size reaches a loss, one a draw: (draw, size)."""
        level = np.broadcast_to(level, len(self.loss))
        return np.stack([first_crossing(self.d, self.loss[:, i], level) for i in range(len(self.n))], axis=1)

    def cheapest(self, reached, cost):
        """ln N, ln D and cost of the cheapest run of those that are marked, (size, tokens)."""
        spent = np.where(reached, cost(np.exp(self.n)[:, None], np.exp(self.d)), np.inf)
        i, j = np.unravel_index(np.argmin(spent), spent.shape)
        return self.n[i], self.d[j], spent[i, j]


def _around(grid, value):
    """The ten points around a value inside a grid."""
    assert grid[0] < value < grid[-1]
    first = int(np.clip(np.searchsorted(grid, value) - 5, 0, len(grid) - 10))
    return slice(first, first + 10)


def first_crossing(x, values, level):
    """Where each row of values (draw, x) first falls to its level, straight between points; infinite where nowhere."""
    reached = values <= level[:, None]
    last = reached.argmax(axis=1)
    first, rows = np.maximum(last - 1, 0), np.arange(len(values))
    before, after = values[rows, first], values[rows, last]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(last > 0, (before - level) / (before - after), 0.0)
    return np.where(reached.any(axis=1), x[first] + share * (x[last] - x[first]), np.inf)


def _everywhere(paths, n, d):
    """The discrepancy of every draw on the grid, (draw, size, tokens)."""
    knots = n[::KNOTS], d[::KNOTS]
    pairs = [grid.ravel() for grid in np.meshgrid(*knots, indexing="ij")]
    with precision():
        arrays = {name: jnp.asarray(values) for name, values in paths.items()}
        found = np.asarray(discrepancies_at(arrays, *map(jnp.asarray, pairs)))
    found = found.reshape(-1, *map(len, knots))
    to_n, to_d = (make_interp_spline(few, np.eye(len(few)))(all_) for few, all_ in zip(knots, (n, d), strict=True))
    return to_n @ found @ to_d.T
