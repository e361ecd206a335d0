"""Tables that are as a law says, and tables that are not, each kind as people have them; made from a seed.

`GOOD` are drawn from the model itself: the law alone, and the law with a discrepancy. `BAD` name
what went wrong with tables of the same designs.
"""

from collections.abc import Callable

import numpy as np

import scalefit as sf
from scalefit.model.discrepancy import Discrepancy, coordinates, kernel

SCALES = Discrepancy().scales


def design(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """N and D: isoFLOP lines, a grid of sizes and tokens per parameter, or a cloud."""
    kind = rng.integers(3)
    if kind == 0:
        budgets, sizes, width, least = rng.integers(5, 9), rng.integers(6, 11), rng.uniform(5, 12), rng.uniform(17, 19)
        flops = np.repeat(np.geomspace(10**least, 10 ** (least + rng.uniform(1.7, 3)), budgets), sizes)
        params = np.sqrt(flops / 120) * np.tile(np.geomspace(1 / width, width, sizes), budgets)
        return params, flops / 6 / params
    if kind == 1:
        least = rng.uniform(6.8, 7.8)
        size = np.geomspace(10**least, 10 ** (least + rng.uniform(1.3, 2.2)), rng.integers(6, 12))
        ratio = np.geomspace(rng.uniform(2, 8), rng.uniform(60, 600), rng.integers(5, 12))
        return np.repeat(size, len(ratio)), np.outer(size, ratio).ravel()
    params = 10 ** rng.uniform(7.5, 10, rng.integers(60, 240))
    return params, params * 10 ** rng.uniform(0.3, 2.6, len(params))


class Sweep:
    """A good sweep, whose parts a kind of table spoils."""

    def __init__(self, rng: np.random.Generator, discrepancy: bool = False) -> None:
        self.rng = rng
        self.params, self.tokens = design(rng)
        self.log_loss = self.law(self.params, self.tokens)
        self.sigma = float(np.exp(rng.uniform(np.log(0.0015), np.log(0.008))))
        self.noise = self.sigma * rng.standard_t(rng.choice([4, 8, 30]), len(self.params))
        self.flops = self.params * self.tokens
        if discrepancy:
            self.log_loss = self.log_loss + self._discrepancy()

    def law(self, params: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """ln loss by Chinchilla's law with random constants."""
        (a, b), (alpha, beta) = self.rng.uniform(0.4, 0.9, 2), self.rng.uniform(0.29, 0.42, 2)
        n, d = (values / np.exp(np.log(values).mean()) for values in (params, tokens))
        return np.log(self.rng.uniform(1.4, 2.0) + a * n**-alpha + b * d**-beta)

    def _discrepancy(self) -> np.ndarray:
        at = coordinates({"params": self.params, "tokens": self.tokens})
        covariance = kernel(SCALES[self.rng.integers(len(SCALES))], at[:, None], at[None])
        return np.linalg.cholesky(covariance + 1e-10 * np.eye(len(at))) @ self.rng.standard_normal(len(at))

    def place(self, values: np.ndarray) -> np.ndarray:
        """Where the logarithm of values lies between its least, 0, and its greatest, 1."""
        log = np.log(values)
        return (log - log.min()) / np.ptp(log)

    def runs(self, log_loss: np.ndarray | None = None) -> sf.Runs:
        """The table, with another ln loss where one is given."""
        log_loss = self.log_loss + self.noise if log_loss is None else log_loss
        return sf.Runs({"params": self.params, "tokens": self.tokens, "loss": np.exp(log_loss)})


def _two_corpora(s: Sweep) -> sf.Runs:
    other = s.rng.random(len(s.params)) < s.rng.uniform(0.25, 0.5)
    return s.runs(np.log(np.exp(s.log_loss + s.noise) + 0.3 * other))


def _shift(of: str) -> Callable[[Sweep], sf.Runs]:
    def make(s: Sweep) -> sf.Runs:
        above = s.place(getattr(s, of)) > s.rng.uniform(0.35, 0.65)
        return s.runs(s.log_loss + s.noise + s.rng.choice([-1, 1]) * s.rng.uniform(0.02, 0.05) * above)

    return make


def _under_tuned(small: bool) -> Callable[[Sweep], sf.Runs]:
    def make(s: Sweep) -> sf.Runs:
        which = s.place(s.params) < 0.4 if small else s.place(s.params) > 0.6
        worse = np.abs(s.rng.normal(0, s.rng.uniform(0.02, 0.05), len(s.params)))
        return s.runs(s.log_loss + s.noise + which * worse)

    return make


def _kaplan(s: Sweep) -> sf.Runs:
    return s.runs(0.103 * np.log((6.4e13 / s.params) ** (0.076 / 0.103) + 1.8e13 / s.tokens) + s.noise)


def _heteroscedastic(s: Sweep) -> sf.Runs:
    steep = s.rng.choice([-1, 1]) * s.rng.uniform(2.4, 3.6)
    return s.runs(s.log_loss + s.noise * np.exp(steep * (s.place(s.flops) - 0.5)))


def _checkpoints(s: Sweep) -> sf.Runs:
    sizes, each, kept = s.rng.integers(5, 10), s.rng.integers(15, 60), s.rng.uniform(0.85, 0.97)
    params = np.geomspace(3e7, 10 ** s.rng.uniform(8.5, 9.3), sizes)
    s.params, s.tokens = np.repeat(params, each), np.outer(20 * params, np.arange(1, each + 1) / each).ravel()
    error = s.rng.standard_normal((sizes, each))
    for step in range(1, each):
        error[:, step] = kept * error[:, step - 1] + np.sqrt(1 - kept**2) * error[:, step]
    error += s.rng.standard_normal((sizes, 1)) + 0.3 * s.rng.standard_normal((sizes, each))
    return s.runs(s.law(s.params, s.tokens) + s.sigma * error.ravel())


def _twice(s: Sweep) -> sf.Runs:
    again = s.rng.permutation(len(s.params))[: int(len(s.params) * s.rng.uniform(0.3, 1))]
    whole = s.runs()
    return whole.subset(np.append(np.arange(len(whole)), again))


def _noisy(s: Sweep) -> sf.Runs:
    return s.runs(s.log_loss + s.noise / s.sigma * s.rng.uniform(0.025, 0.06))


def _one_size(s: Sweep) -> sf.Runs:
    off = np.abs(s.place(s.params) - s.rng.uniform(0.2, 0.8))
    which = off <= max(0.06, np.sort(off)[4])
    return s.runs(s.log_loss + s.noise + s.rng.choice([-1, 1]) * s.rng.uniform(0.02, 0.04) * which)


def _diverged(s: Sweep) -> sf.Runs:
    which = s.rng.permutation(len(s.params))[:3]
    return s.runs(s.log_loss + s.noise + np.isin(np.arange(len(s.params)), which) * s.rng.uniform(0.1, 0.8))


def _rises(s: Sweep) -> sf.Runs:
    params, tokens = 10 ** np.linspace(6, 8, s.rng.integers(4, 8)), 10 ** np.linspace(7.5, 8.5, s.rng.integers(3, 6))
    s.params, s.tokens = np.repeat(params, len(tokens)), np.tile(tokens, len(params))
    log_loss = 0.5 * (s.tokens / 3e7) ** -0.1 + s.rng.uniform(0.01, 0.03) * np.log(s.params / 1e6)
    return s.runs(log_loss + s.sigma * s.rng.standard_t(8, len(s.params)))


GOOD: dict[str, Callable[[Sweep], sf.Runs]] = {"law": Sweep.runs, "law and discrepancy": Sweep.runs}
BAD: dict[str, Callable[[Sweep], sf.Runs]] = {
    "two corpora .3 nats apart": _two_corpora,
    "level shift with compute": _shift("flops"),
    "level shift with size": _shift("params"),
    "under-tuned small runs": _under_tuned(small=True),
    "under-tuned large runs": _under_tuned(small=False),
    "Kaplan's law": _kaplan,
    "heteroscedastic noise": _heteroscedastic,
    "checkpoints as rows": _checkpoints,
    "rows twice": _twice,
    "noise of 2.5 to 6 %": _noisy,
    "one size off": _one_size,
    "three diverged runs": _diverged,
    "loss rises with N": _rises,
}


def table(kind: str, seed: int) -> sf.Runs:
    """A table of a kind."""
    rng = np.random.default_rng([*kind.encode(), seed])
    return (GOOD | BAD)[kind](Sweep(rng, discrepancy="discrepancy" in kind))
