"""Scales of recipes' differences: the joint model linearised, everything normal, closed form, in tenths of a second.

Each choice of scales predicts the held-out runs of `recipes.py`; what one corpus chooses is used for the other.
"""

import itertools

import numpy as np
import pandas as pd
from scipy.optimize import least_squares
from scipy.stats import norm

CURVATURE, LENGTHS, ALLOCATIONS, LONG = 0.002, (2.0, 4.0, 7.0, 12.0), (1 / 75, 1 / 30), 4.0
GRID = tuple(itertools.product((0.12, 0.2, 0.35), (0.005, 0.015, 0.04)))  # of multipliers, and of floors
OWN = (0.25, 0.75)
DRAWS = 800


def law(u, x, is_b):
    """ln L of u = ln E, ln A, ln B, ln alpha, ln beta, ln rho_N, ln rho_D, ln E_B/E."""
    n, d = x[:, 0] + is_b * u[5], x[:, 1] + is_b * u[6]
    two = np.logaddexp(u[0] + is_b * u[7], u[1] - np.exp(u[3]) * n)
    return np.logaddexp(two, u[2] - np.exp(u[4]) * d)


def slopes(u, x, is_b):
    """Of `law`, (run, 8)."""
    return np.stack([(law(u + step, x, is_b) - law(u, x, is_b)) / 1e-5 for step in 1e-5 * np.eye(8)], 1)


def kernel(a, b, length, allocation):
    """Covariance of the shared discrepancy."""
    c = np.subtract.outer(a.sum(1), b.sum(1)) ** 2
    r = np.subtract.outer(a[:, 1] - a[:, 0], b[:, 1] - b[:, 0]) ** 2
    return (CURVATURE * length**2) ** 2 * np.exp(-0.5 * c / length**2) + allocation**2 * np.exp(-c / 18 - r / 32)


def components(x, y, is_b, at, multiplier, floor):
    """ln evidence, mean and sd of ln L_B - ln L_A at places, of every set of scales."""
    level = y.mean()
    m0 = np.r_[level + np.log([0.55, 0.25, 0.25]), np.log([0.34, 0.34]), 0, 0, 0]
    s0 = np.r_[0.4, 1.0, 1.0, 0.12, 0.12, multiplier, multiplier, floor]
    start = least_squares(lambda u: np.r_[(law(u, x, is_b) - y) / 0.004, (u - m0) / s0], m0, loss="soft_l1").x
    left = y - law(start, x, is_b)
    sigma = max(1.4826 * np.median(np.abs(left - np.median(left))), 5e-4)
    weight = np.clip(5 / (4 + (left / sigma) ** 2), 0.02, 1.25)
    both, none, all_b = np.outer(is_b, is_b), np.zeros(len(at)), np.ones(len(at))
    for length, allocation in itertools.product(LENGTHS, ALLOCATIONS):
        k, to = kernel(x, x, length, allocation), kernel(at, x, length, allocation)
        for own, share in itertools.product(OWN, (0.5, 1.0)):
            tau, u = own * min(1.0, LONG / length) ** 2, start.copy()
            for step in range(4):
                j = slopes(u, x, is_b)
                r = y - law(u, x, is_b) + j @ (u - m0)
                cov = (j * s0**2) @ j.T + k * (1 + tau**2 * both) + np.diag((sigma * share) ** 2 / weight)
                root = np.linalg.cholesky(cov)
                dual = np.linalg.solve(root.T, np.linalg.solve(root, r))
                move = m0 + s0**2 * (j.T @ dual) - u
                u = u + move * min(1, 0.7 / max(np.abs(move).max(), 1e-9)) if step < 3 else u
            dj = slopes(u, at, all_b) - slopes(u, at, none)
            cross = (dj * s0**2) @ j.T + tau**2 * to * is_b
            mean = law(u, at, all_b) - law(u, at, none) - dj @ (u - m0) + cross @ dual
            prior = (dj**2 * s0**2).sum(1) + tau**2 * kernel(at[:1], at[:1], length, allocation)[0, 0]
            var = np.maximum(prior - (np.linalg.solve(root, cross.T) ** 2).sum(0), 1e-12)
            evidence = -0.5 * r @ dual - np.log(np.diag(root)).sum()
            yield evidence, mean, np.sqrt(var + 3.2 * (sigma * share) ** 2)


def learn(cases, scores):
    """A row for every case and pair of scales: its scores, and ln density of the held-out differences."""
    rows = []
    for corpus, few, cut, a, b, held in cases:
        n0, d0 = np.log(a.params).mean(), np.log(a.tokens).mean()
        xa, xb, at = (np.c_[np.log(t.params) - n0, np.log(t.tokens) - d0] for t in (a, b, held))
        x, y = np.r_[xa, xb], np.log(np.r_[a.loss, b.loss])
        is_b, truth = np.r_[np.zeros(len(a)), np.ones(len(b))], np.log(held.loss_b / held.loss).to_numpy()
        for multiplier, floor in GRID:
            found = components(x, y, is_b, at, multiplier, floor)
            evidence, mean, sd = (np.array(part) for part in zip(*found, strict=True))
            share = np.exp(evidence - evidence.max())
            rng = np.random.default_rng(0)
            pick = rng.choice(len(share), DRAWS, p=share / share.sum())
            draws = mean[pick] + sd[pick] * rng.standard_normal((DRAWS, 1))
            density = (share[:, None] / share.sum() * norm.pdf(truth, mean, sd)).sum(0)
            row = {"corpus": corpus, "few": few, "cut": cut, "multiplier": multiplier, "floor": floor}
            rows.append(row | scores(draws, truth) | {"lpd": np.log(density + 1e-12).mean()})
    return pd.DataFrame(rows)
