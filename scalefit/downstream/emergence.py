"""An ability that seems to emerge, simulated from a published law in which nothing jumps.

A task is right when every one of its tokens is. If each token's loss falls smoothly with compute, so does the
log-probability of the whole answer, while the share of exact answers stays near zero for decades and then leaps
(Schaeffer et al. 2023, arXiv 2304.15004).
"""

from dataclasses import dataclass

import numpy as np

from scalefit._precision import precision
from scalefit.downstream.accuracy import Downstream, fit_downstream
from scalefit.errors import OptionError
from scalefit.frontier.frontier import frontier
from scalefit.laws import Published, find_law

BUDGETS = np.geomspace(1e19, 1e26, 22)  # FLOP, three a decade
ANSWER = 10  # tokens of an answer
ITEMS = 1000


@dataclass(frozen=True, eq=False)
class Emergence:
    """Simulated compute-optimal models, and a curve fitted to the smaller ones alone.

    flops, loss, exact : of each model, (model,): compute, loss per token of the answer in nats, share of `items`
        answered exactly. truth : the share that the law implies. answer : tokens of an answer.
    seen : whether a model was in the fit. downstream : accuracy against loss, from those. source : the law's constants.
    """

    flops: np.ndarray
    loss: np.ndarray
    truth: np.ndarray
    exact: np.ndarray
    seen: np.ndarray
    answer: int
    items: int
    downstream: Downstream
    source: str


def emergence(answer: int = ANSWER, items: int = ITEMS, up_to: float = 1e22, seed: int = 0) -> Emergence:
    """Simulate the task from the Chinchilla law at its first published constants, and fit the models up to `up_to`.

    answer : tokens of an answer. items : questions, all of one difficulty. up_to : compute of the largest model that
    is fitted, FLOP.

    The loss of an answer's tokens is taken to be the law's reducible loss at the compute-optimal model, L - E: a right
    answer leaves nothing to chance. That, and independent tokens, are assumptions; the constants are published.
    Raises `OptionError` where fewer than four models are left to fit.
    """
    published = find_law("chinchilla").reference()[0]
    loss = _reducible(published)
    truth = np.exp(-answer * loss)
    exact = np.random.default_rng(seed).binomial(items, truth) / items
    seen = up_to * 1.001 >= BUDGETS
    if seen.sum() < 4:
        raise OptionError(f"up_to leaves {seen.sum()} models to fit; four need at least {BUDGETS[3]:.3g} FLOP.")
    fitted = fit_downstream(loss[seen], exact[seen], floor=0.0, items=items, form="error", seed=seed)
    return Emergence(BUDGETS, loss, truth, exact, seen, answer, items, fitted, published.source)


def _reducible(published: Published) -> np.ndarray:
    """L - E of the compute-optimal model at each budget, nats per token."""
    law, theta = find_law("chinchilla"), {name: np.array([value]) for name, value in published.theta.items()}
    with precision("float64"):
        front = frontier(law, theta, BUDGETS, (BUDGETS[0], BUDGETS[-1]))
    return front.loss[0] - published.theta["E"]
