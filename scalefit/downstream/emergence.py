"""An ability that seems to emerge, simulated from a published law in which nothing jumps.

A task is right when every one of its tokens is. If each token's loss falls smoothly with compute, so does the
log-probability of the whole answer, while the share of exact answers stays near zero for decades and then leaps.

References
----------
Schaeffer et al. 2023 (arXiv 2304.15004).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from scalefit._precision import precision
from scalefit._quantities import write
from scalefit._results import PROB, Result
from scalefit._tables import Table
from scalefit.downstream.accuracy import Downstream, fit_downstream
from scalefit.errors import OptionError
from scalefit.frontier.frontier import frontier
from scalefit.laws import Published, find_law
from scalefit.units import format_flops

BUDGETS = np.geomspace(1e19, 1e26, 22)  # FLOP, three a decade
ROUNDING = 1.001  # of `up_to`, which may be written with few digits
ANSWER = 10  # tokens of an answer
ITEMS = 1000
LEAST = 4  # models of a fit


@dataclass(frozen=True, eq=False, repr=False)
class Emergence(Result):
    """Simulated compute-optimal models, and a curve fitted to the smaller ones alone.

    Parameters
    ----------
    flops
        Compute of each model, (model,), FLOP.
    loss
        Loss per token of the answer, (model,), nats.
    truth
        Share of exact answers that the law implies, (model,).
    exact
        Share of `items` answered exactly, (model,).
    fitted
        Whether a model was in the fit, (model,).
    answer
        Tokens of an answer.
    items
        Number of questions.
    downstream
        Accuracy against loss, from the fitted models.
    source
        Where the constants of the law are from.
    """

    flops: Float[np.ndarray, " model"]
    loss: Float[np.ndarray, " model"]
    truth: Float[np.ndarray, " model"]
    exact: Float[np.ndarray, " model"]
    fitted: Bool[np.ndarray, " model"]
    answer: int
    items: int
    downstream: Downstream
    source: str

    def headline(self, prob: float = PROB) -> str:
        """How exact answers rise with compute, and up to where models are fitted."""
        first, last = (f"{write(self.exact[i], 'share')} at {format_flops(self.flops[i])} FLOP" for i in (0, -1))
        return (
            f"Exact answers of {self.answer} tokens rise from {first} to {last}, and the curve is fitted to the "
            f"{self.fitted.sum()} models up to {format_flops(self.flops[self.fitted].max())} FLOP."
        )

    def _table(self, prob: float) -> Table:
        columns = {name: getattr(self, name) for name in ("loss", "truth", "exact", "fitted")}
        return Table("flops", self.flops, columns, dict.fromkeys(("truth", "exact"), "share"))


def emergence(answer: int = ANSWER, items: int = ITEMS, up_to: float = 1e22, seed: int = 0) -> Emergence:
    """Simulate the task from the Chinchilla law at its first published constants, and fit the smaller models.

    The loss of an answer's tokens is taken to be the law's reducible loss at the compute-optimal model, L - E: a right
    answer leaves nothing to chance. That, and independent tokens, are assumptions; the constants are published.

    Parameters
    ----------
    answer
        Tokens of an answer.
    items
        Number of questions, all of one difficulty.
    up_to
        Compute of the largest model that is fitted, FLOP.
    seed
        Of the simulated answers and of the fit.

    Returns
    -------
    Emergence
        The models and the fit.

    Raises
    ------
    OptionError
        Fewer than four models are left to fit.
    """
    published = find_law("chinchilla").reference()[0]
    loss = _reducible(published)
    truth = np.exp(-answer * loss)
    exact = np.random.default_rng(seed).binomial(items, truth) / items
    fitted = up_to * ROUNDING >= BUDGETS
    if fitted.sum() < LEAST:
        raise OptionError(
            f"up_to={up_to:g} leaves {fitted.sum()} models to fit. "
            f"Give {BUDGETS[LEAST - 1]:.3g} FLOP or more, for {LEAST} models."
        )
    found = fit_downstream(loss[fitted], exact[fitted], floor=0.0, items=items, link="exponential-error", seed=seed)
    return Emergence(BUDGETS, loss, truth, exact, fitted, answer, items, found, published.source)


def _reducible(published: Published) -> Float[np.ndarray, " model"]:
    """L - E of the compute-optimal model at each budget, nats per token."""
    theta = {name: np.array([value]) for name, value in published.theta.items()}
    with precision("float64"):
        front = frontier(find_law("chinchilla"), theta, BUDGETS, (BUDGETS[0], BUDGETS[-1]))
    return front.loss[0] - published.theta["E"]
