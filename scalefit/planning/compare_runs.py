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
from scalefit.errors import QuestionError
from scalefit.fits.fit import Fit, check_fit
from scalefit.io.published_models import TrainedModel, read_model
from scalefit.planning._loss_posterior import LossPosterior, loss_posterior
from scalefit.planning._regret import bayes_log_params
from scalefit.planning._solve import FURTHEST, least_log_budget, loss_at
from scalefit.planning.assumptions import Assumptions
from scalefit.units import format_flops

if TYPE_CHECKING:
    import pandas as pd


_BARE_COUNT = re.compile(r"[\d.,_]+\s*[kmbt]", re.IGNORECASE)
_WITH_GAIN = re.compile(r"(?P<what>.+?)\s+-\s*(?P<gain>[\d.]+\s*%)\s*")


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
    a: Any,
    b: Any,
    *,
    fit: Fit | None = None,
    budget: Any = None,
    machines: Machines | None = None,
    kind: str | None = None,
    **fixed: Any,
) -> RunComparison:
    """Whether B beats A.

    Under one `fit`, A and B are runs ("280B:300B", a published name, a pair) or budgets (5.76e23, "$2M"), each budget
    spent at its plan; " - 2%" after either is a recipe that lowers its loss by 2 %, so that a better recipe can be held
    against more compute. Two fits are two recipes, each at its own plan for `budget`: their draws are independent.
    kind : "mean", or "form" with the law's own error, the default where either lies beyond the data; fixed : the law's
    further inputs. Raises `QuestionError` where neither question is asked.
    """
    if isinstance(a, Fit) != isinstance(b, Fit) or (isinstance(a, Fit) and (budget is None or fit is not None)):
        raise QuestionError("compare two runs or budgets under fit=..., or two fits at budget=...")
    if isinstance(a, Fit):
        fits, asked = (a, b), (read_budget(budget, machines),) * 2
    elif fit is None:
        raise QuestionError("two runs or budgets are compared under a fit: give fit=...")
    else:
        check_fit(fit)
        fits, asked = (fit, fit), (a, b)
    ask = Asking(machines, kind or _kind_for(fits, [_flops(value, machines) for value in asked]), fixed)
    return _compare(ask, *fits, *(_candidate(ask, each, value) for each, value in zip(fits, asked, strict=True)))


def _kind_for(fits: tuple[Fit, Fit], flops: list[float]) -> str:
    """One interval kind for both: "form" where one of them should have it and both can."""
    kinds = {fit.kind_at(flops) for fit in fits}
    return "form" if "form" in kinds and all(fit.has_discrepancy for fit in fits) else "mean"


@dataclass(frozen=True)
class Asking:
    """How a fit is asked: machines that budgets are read with, kind of interval, the law's further inputs."""

    machines: Machines | None
    kind: str
    fixed: Mapping[str, Any]

    def belief(self, fit: Fit) -> LossPosterior:
        """What the fit believes; inside `precision()`."""
        return loss_posterior(fit, fixed=self.fixed, kind=self.kind)

    def observed(self, fit: Fit, loss: np.ndarray, seed: int) -> np.ndarray:
        """One run of each draw's loss, (draw,)."""
        return fit.observed(loss, seed, self.kind)


def _candidate(ask: Asking, fit: Fit, value: Any) -> Candidate:
    what, gain = _parted(value)
    if (model := _as_model(what)) is None:
        plain = _planned(ask, fit, what)
    else:
        plain = Candidate(model.name, model.params, model.tokens)
    return replace(plain, name=value.strip(), gain=gain) if gain else plain


def _flops(value: Any, machines: Machines | None) -> float:
    """Compute of a candidate, FLOP, before it is planned."""
    what, _ = _parted(value)
    model = _as_model(what)
    return read_budget(what, machines).flops if model is None else float(flops_6nd(model.params, model.tokens))


def _parted(value: Any) -> tuple[Any, float]:
    """A candidate without the share by which its recipe is better, and that share."""
    if isinstance(value, str) and (found := _WITH_GAIN.fullmatch(value)):
        gain = parse_share(found["gain"].replace(" ", ""))
        if gain >= 1:
            raise QuestionError(f"a recipe lowers its loss by less than 100%, as in ' - 2%'; got {value!r}.")
        return found["what"], gain
    return value, 0.0


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
        n = float(np.exp(bayes_log_params(ask.belief(fit), SixND(), log_c)))
    return Candidate(f"{format_flops(flops)} FLOP", n, float(SixND().tokens_for(flops, n)))


def _compare(ask: Asking, fit_a: Fit, fit_b: Fit, a: Candidate, b: Candidate) -> RunComparison:
    with precision():
        belief = ask.belief(fit_a)
        loss_a, loss_b = _loss(belief, a), _loss(belief if fit_b is fit_a else ask.belief(fit_b), b)
        one_a, one_b = ask.observed(fit_a, loss_a, fit_a.seed), ask.observed(fit_b, loss_b, fit_b.seed + 1)
        if fit_a is not fit_b:  # independent posteriors: any pairing will do
            pairs = np.random.default_rng(fit_a.seed).permutation(np.arange(belief.count) % len(loss_b))
            loss_b, one_b = loss_b[pairs], one_b[pairs]
        speedup = np.asarray(_speedup(belief, jnp.log(a.flops), jnp.asarray(loss_a), jnp.asarray(loss_b)))
    draws = {"loss_a": loss_a, "loss_b": loss_b, "difference": loss_a - loss_b, "speedup": speedup}
    basis = Assumptions.of(fit_a, SixND(), interval=ask.kind)
    if fit_a is not fit_b:
        basis = replace(basis, health=Health((*fit_a.health.checks, *fit_b.health.checks)))
    return RunComparison(a, b, draws, one_a - one_b, basis)


def _loss(belief: LossPosterior, candidate: Candidate) -> np.ndarray:
    log_n, log_d = (jnp.log(jnp.asarray(value, dtype=float)) for value in (candidate.params, candidate.tokens))
    return np.asarray(loss_at(belief, log_n, log_d)) * (1 - candidate.gain)


@cached_jit()
def _speedup(belief: LossPosterior, log_c: Array, loss_a: Array, loss_b: Array) -> Array:
    """Least compute for B's loss over that for A's, (draw,)."""

    def one(draw: LossPosterior, a: Array, b: Array) -> Array:
        end = log_c + FURTHEST
        needed = [least_log_budget(draw, SixND(), loss, log_c, end) for loss in (a, b)]
        return jnp.where(needed[1] < end - 1e-3, jnp.exp(needed[1] - needed[0]), jnp.inf)

    return by_groups(one, (belief.axes, 0, 0))(belief, loss_a, loss_b)
