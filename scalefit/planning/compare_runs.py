"""Which of two is better, and how sure is that? Runs, budgets, recipes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._aot import cached_jit
from scalefit._batching import by_groups
from scalefit._precision import precision
from scalefit.costs.budget import read_budget
from scalefit.costs.cost import SixND
from scalefit.costs.machines import Machines, parse_share
from scalefit.counting import flops_6nd
from scalefit.diagnostics.checks import Health
from scalefit.errors import OptionError, QuestionError
from scalefit.fits.fit import Fit, check_fit
from scalefit.io.published_models import TrainedModel, read_model
from scalefit.planning._loss_posterior import LossPosterior, loss_posterior
from scalefit.planning._regret import bayes_log_params
from scalefit.planning._solve import FURTHEST, least_log_budget, loss_at
from scalefit.planning.assumptions import Assumptions
from scalefit.units import format_flops, percent

if TYPE_CHECKING:
    import pandas as pd


_BARE_COUNT = re.compile(r"[\d.,_]+\s*[kmbt]", re.IGNORECASE)


@dataclass(frozen=True)
class Candidate:
    """A run to be compared: what it is called, its parameters and tokens, and by what share a better recipe than the
    fit's lowers its loss.
    """

    name: str
    params: float
    tokens: float
    gain: float = 0.0

    @property
    def flops(self) -> float:
        """Training compute, 6 N D FLOP."""
        return float(flops_6nd(self.params, self.tokens))


@dataclass(frozen=True, eq=False)
class RunComparison:
    """Two candidates, A and B.

    draws : name -> (draw,): `loss_a`, `loss_b` and their `difference` A - B (nats per token; positive where B is
    better), by the law; `speedup`, the compute A's recipe would need, at its optimum, for B's loss over what it needs
    for A's: above 1 where B is better, infinite where no compute suffices. observed_difference : (draw,), of one run
    each, noise included.
    """

    a: Candidate
    b: Candidate
    draws: dict[str, np.ndarray]
    observed_difference: np.ndarray
    assumptions: Assumptions

    @property
    def chance(self) -> float:
        """P(B beats A) by the law."""
        return float(np.mean(self.draws["difference"] > 0))

    @property
    def chance_one_run(self) -> float:
        """P(B beats A) as one observed run each."""
        return float(np.mean(self.observed_difference > 0))

    @property
    def chance_of_speedup(self) -> float:
        """P(speed-up > 1)."""
        return float(np.mean(self.draws["speedup"] > 1))

    def summary(self, prob: float = 0.9) -> "pd.DataFrame":
        """Rows: losses, difference by the law and of one run each, speed-up. Columns: median, lower, upper."""
        from scalefit._tables import draws_table

        return draws_table(self.draws | {"difference_one_run": self.observed_difference}, prob)


def compare_runs(
    fit: Fit | tuple[Fit, Fit],
    a: Any,
    b: Any,
    *,
    gains: tuple[Any, Any] = (0.0, 0.0),
    machines: Machines | None = None,
    discrepancy: bool | None = None,
    **fixed: Any,
) -> RunComparison:
    """Whether B has a lower loss than A, with what probability, and what that is in compute.

    Parameters
    ----------
    fit
        One fit for both; or a pair, A's recipe and B's, whose draws are independent of each other.
    a, b
        Runs ("280B:300B", a published name, a pair of numbers) or budgets (5.76e23, "$2M"), each budget spent at the
        allocation of least expected loss.
    gains
        By what share a better recipe than the fit's lowers the loss of A and of B: 0.02 or "2%".
    machines
        What budgets in money and machine time are read with.
    discrepancy
        As for `Fit.predict`; None for a pair of fits includes it where both have one.
    **fixed
        The law's inputs beyond params and tokens.

    Raises
    ------
    QuestionError
        A or B is neither a run nor a budget, or a discrepancy is asked for, and there is none.
    OptionError
        A gain is not a share below 1.
    """
    pair = fit if isinstance(fit, tuple) else (fit, fit)
    for each in pair:
        check_fit(each)
    if discrepancy is None:
        discrepancy = all(each.has_discrepancy for each in pair)
    ask = Asking(machines, all([each.resolve(discrepancy) for each in pair]), fixed)
    return _compare(ask, *pair, *(_candidate(ask, *each) for each in zip(pair, (a, b), gains, strict=True)))


@dataclass(frozen=True)
class Asking:
    """How a fit is asked: machines that budgets are read with, discrepancy or not, the law's further inputs."""

    machines: Machines | None
    discrepancy: bool
    fixed: Mapping[str, Any]

    def loss_posterior(self, fit: Fit) -> LossPosterior:
        """The draws of a fit's loss; inside `precision()`."""
        return loss_posterior(fit, fixed=self.fixed, discrepancy=self.discrepancy)

    def add_noise(self, fit: Fit, loss: np.ndarray, seed: int) -> np.ndarray:
        """One run of each draw's loss, (draw,)."""
        return fit.add_noise(loss, seed, self.discrepancy)


def _candidate(ask: Asking, fit: Fit, value: Any, gain: Any) -> Candidate:
    share = parse_share(gain)
    if not 0 <= share < 1:
        raise OptionError(f"a gain is a share of the loss from 0 to below 1, as in 2%; got {gain!r}.")
    model = _as_model(value)
    plain = _planned(ask, fit, value) if model is None else Candidate(model.name, model.params, model.tokens)
    return replace(plain, name=f"{plain.name}, loss {percent(share)} lower", gain=share) if share else plain


def _as_model(value: Any) -> TrainedModel | None:
    """A run, where that is what is meant and not a budget."""
    if isinstance(value, str) and _BARE_COUNT.fullmatch(value.strip()):
        raise QuestionError(
            f"{value!r} is neither a run nor a budget; give {value}:TOKENS, or a budget like 1e22 or $2M."
        )
    run = isinstance(value, TrainedModel | tuple | list) or (isinstance(value, str) and (":" in value or _named(value)))
    return read_model(value) if run else None


def _named(text: str) -> bool:
    return text[:1].isalpha() and not re.search(r"[x×*$]\s*\d", text)


def _planned(ask: Asking, fit: Fit, budget: Any) -> Candidate:
    """A budget at the allocation of least expected loss."""
    flops = read_budget(budget, ask.machines).flops
    with precision():
        log_c = jnp.log(jnp.asarray(flops, dtype=float))
        n = float(np.exp(bayes_log_params(ask.loss_posterior(fit), SixND(), log_c).x))
    return Candidate(f"{format_flops(flops)} FLOP", n, float(SixND().tokens_for(flops, n)))


def _compare(ask: Asking, fit_a: Fit, fit_b: Fit, a: Candidate, b: Candidate) -> RunComparison:
    with precision():
        belief = ask.loss_posterior(fit_a)
        loss_a, loss_b = _loss(belief, a), _loss(belief if fit_b is fit_a else ask.loss_posterior(fit_b), b)
        one_a, one_b = ask.add_noise(fit_a, loss_a, fit_a.seed), ask.add_noise(fit_b, loss_b, fit_b.seed + 1)
        if fit_a is not fit_b:  # independent posteriors: any pairing will do
            pairs = np.random.default_rng(fit_a.seed).permutation(np.arange(belief.count) % len(loss_b))
            loss_b, one_b = loss_b[pairs], one_b[pairs]
        found = _speedup(belief, jnp.log(a.flops), jnp.asarray(loss_a), jnp.asarray(loss_b))
        speedup, converged = (np.asarray(values) for values in found)
    draws = {"loss_a": loss_a, "loss_b": loss_b, "difference": loss_a - loss_b, "speedup": speedup}
    lost = 1 - float(converged.mean())
    assumptions = Assumptions.of(fit_a, SixND(), discrepancy=ask.discrepancy, unconverged=lost)
    if fit_a is not fit_b:
        assumptions = replace(assumptions, health=Health((*fit_a.health.checks, *fit_b.health.checks)))
    return RunComparison(a, b, draws, one_a - one_b, assumptions)


def _loss(belief: LossPosterior, candidate: Candidate) -> np.ndarray:
    log_n, log_d = (jnp.log(jnp.asarray(value, dtype=float)) for value in (candidate.params, candidate.tokens))
    return np.asarray(loss_at(belief, log_n, log_d)) * (1 - candidate.gain)


@cached_jit()
def _speedup(belief: LossPosterior, log_c: Array, loss_a: Array, loss_b: Array) -> tuple[Array, Array]:
    """Least compute for B's loss over that for A's, and whether the searches converged, each (draw,)."""

    def one(draw: LossPosterior, a: Array, b: Array) -> tuple[Array, Array]:
        end = log_c + FURTHEST
        for_a, for_b = (least_log_budget(draw, SixND(), loss, log_c, end) for loss in (a, b))
        speedup = jnp.where(for_b.x < end - 1e-3, jnp.exp(for_b.x - for_a.x), jnp.inf)
        return speedup, for_a.converged & for_b.converged

    return by_groups(one, (belief.axes, 0, 0))(belief, loss_a, loss_b)
