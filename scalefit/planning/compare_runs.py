"""Comparisons of two runs, budgets or recipes: which is better, and how sure that is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from scalefit._intervals import interval
from scalefit._labelled import labelled
from scalefit._precision import precision
from scalefit._quantities import loss_units, provenance, ranged, write
from scalefit._results import PROB, Result
from scalefit._tables import Table, draws_table
from scalefit.costs.budget import read_budget
from scalefit.costs.cost import Compute
from scalefit.costs.machines import Machines, parse_share
from scalefit.costs.measured import on_average, with_table
from scalefit.diagnostics.checks import Health
from scalefit.errors import OptionError, QuestionError
from scalefit.fits.fit import Fit, check_fit
from scalefit.frontier.optimum import check_optimum
from scalefit.io.published_models import TrainedModel, read_model
from scalefit.loss_units import in_unit
from scalefit.planning._envelope import LeastBudgets
from scalefit.planning._loss_posterior import LossPosterior, costs_of, loss_posterior
from scalefit.planning._regret import Regret
from scalefit.planning._solve import FURTHEST, loss_at
from scalefit.planning.assumptions import Assumptions
from scalefit.runs import refuse_other_unit
from scalefit.units import chance, format_flops, percent

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


COUNT = 1000  # draws of what a run costs, of which the mean is shown
_BARE_COUNT = re.compile(r"[\d.,_]+\s*[kmbt]", re.IGNORECASE)


@dataclass(frozen=True)
class Candidate:
    """A run to be compared.

    Parameters
    ----------
    name
        What it is called.
    params, tokens, flops
        The run, and its training compute, FLOP.
    gain
        Share by which a better recipe than the fit's lowers its loss.
    """

    name: str
    params: float
    tokens: float
    flops: float
    gain: float = 0.0


@dataclass(frozen=True, eq=False, repr=False)
class RunComparison(Result):
    """Two candidates, A and B.

    Parameters
    ----------
    a, b
        The candidates.
    draws
        Name -> (draw,): loss_a, loss_b and their difference A - B (expected, in the table's unit; positive where B is
        better); speedup, the compute that A's recipe needs at its optimum for B's loss over that for A's: above 1 where
        B is better, infinite where no compute suffices.
    observed_difference
        A - B of one run each, with noise.
    assumptions
        The data, the model and the conventions behind the answer.
    """

    a: Candidate
    b: Candidate
    draws: dict[str, np.ndarray]
    observed_difference: Float[np.ndarray, " draw"]
    assumptions: Assumptions

    @property
    def chance(self) -> float:
        """P(B beats A) in expected loss."""
        return float(np.mean(self.draws["difference"] > 0))

    @property
    def chance_one_run(self) -> float:
        """P(B beats A) as one run each, with noise."""
        return float(np.mean(self.observed_difference > 0))

    @property
    def chance_of_speedup(self) -> float:
        """P(speed-up > 1)."""
        return float(np.mean(self.draws["speedup"] > 1))

    def headline(self, prob: float = PROB) -> str:
        """Which is better, how sure that is, and by how much."""
        if not self.draws["difference"].any():
            return f"{self.a.name} and {self.b.name} are equal: both have the same loss in every draw."
        gain = interval(self.draws["difference"], prob)
        better, worse, sure = self.b.name, self.a.name, (self.chance, self.chance_one_run)
        if gain[0] < 0:
            better, worse, sure = worse, better, (1 - self.chance, 1 - self.chance_one_run)
            gain = -gain[[0, 2, 1]]
        return (
            f"{better} beats {worse} with probability {chance(sure[0])} in expected loss and {chance(sure[1])} as one "
            f"run each, by {in_unit(ranged(gain, write), self.assumptions.loss_unit)} in expected loss "
            f"({provenance(self.assumptions.discrepancy, gain, prob)})."
        )

    def summary(self, prob: float = PROB) -> "pd.DataFrame":
        """Losses, their difference, and what it is in compute.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.

        Returns
        -------
        pandas.DataFrame
            Rows: those of `draws`, and difference_one_run, with noise. Columns: median, lower, upper.
        """
        return self._table(prob).frame()

    def to_xarray(self) -> "xr.Dataset":
        """The draws with names, each over `draw`.

        Returns
        -------
        xarray.Dataset
            Variables: those of `draws`, and difference_one_run. Attributes: a and b, the names of the candidates, and
            discrepancy (0 or 1).
        """
        draws = self.draws | {"difference_one_run": self.observed_difference}
        attrs = {"a": self.a.name, "b": self.b.name, "discrepancy": self.assumptions.discrepancy}
        variables = {name: ("draw", values) for name, values in draws.items()}
        return labelled(variables, attrs=attrs, units=loss_units(self.assumptions.loss_unit))

    def _table(self, prob: float) -> Table:
        draws = self.draws | {"difference_one_run": self.observed_difference}
        return draws_table(draws, prob).loss_in(self.assumptions.loss_unit)


def compare_runs(
    fit: Fit | tuple[Fit, Fit],
    a: Any,
    b: Any,
    *,
    gains: tuple[Any, Any] = (0.0, 0.0),
    machines: Machines | None = None,
    cost: Compute | None = None,
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
    cost
        The compute that A's table shows by default; `costs.SixND()` is 6 N D whatever that is.
    discrepancy
        As for `Fit.predict`; None for a pair of fits includes it where both have one.
    **fixed
        The law's inputs beyond params and tokens.

    Raises
    ------
    DataError
        The losses of a pair of fits are in different units.
    QuestionError
        A or B is neither a run nor a budget, or a discrepancy is asked for, and there is none.
    OptionError
        A gain is not a share below 1.
    """
    pair = fit if isinstance(fit, tuple) else (fit, fit)
    for each in pair:
        check_fit(each)
    refuse_other_unit(pair[0].runs.unit, pair[1].runs.unit, pair[1].runs.name)
    if discrepancy is None:
        discrepancy = all(each.has_discrepancy for each in pair)
    question = Question(machines, all([each.resolve(discrepancy) for each in pair]), fixed, cost)
    first, second = (_candidate(question, *each) for each in zip(pair, (a, b), gains, strict=True))
    return _compare(question, *pair, first, second)


@dataclass(frozen=True)
class Question:
    """What both fits share: machines that budgets are read with, discrepancy or not, the law's further inputs, cost."""

    machines: Machines | None
    discrepancy: bool
    fixed: Mapping[str, Any]
    cost: Compute | None

    def posterior(self, fit: Fit) -> LossPosterior:
        """The draws of a fit's loss; inside `precision()`."""
        return loss_posterior(fit, fixed=self.fixed, discrepancy=self.discrepancy)


def _candidate(question: Question, fit: Fit, value: Any, gain: Any) -> Candidate:
    share = parse_share(gain)
    if not 0 <= share < 1:
        raise OptionError(f"the gain {gain!r} is out of range. Give a share of the loss from 0 to below 1, as in 2%.")
    model = _as_model(value)
    if model is None:
        plain = _planned(question, fit, value)
    else:
        shown = on_average(with_table(question.cost, fit.runs, COUNT, fit.seed))
        flops = float(shown.flops(model.params, model.tokens))
        plain = Candidate(model.name, model.params, model.tokens, flops)
    return replace(plain, name=f"{plain.name}, loss {percent(share)} lower", gain=share) if share else plain


def _as_model(value: Any) -> TrainedModel | None:
    """A run, where that is what is meant and not a budget."""
    if isinstance(value, str) and _BARE_COUNT.fullmatch(value.strip()):
        raise QuestionError(
            f"{value!r} is neither a run nor a budget. Give {value}:TOKENS, or a budget like 1e22 or $2M."
        )
    named = isinstance(value, str) and value[:1].isalpha() and not re.search(r"[x×*$]\s*\d", value)
    run = named or isinstance(value, TrainedModel | tuple | list) or (isinstance(value, str) and ":" in value)
    return read_model(value) if run else None


def _planned(question: Question, fit: Fit, budget: Any) -> Candidate:
    """A budget at the allocation of least expected loss."""
    flops = read_budget(budget, question.machines).flops
    with precision():
        posterior = question.posterior(fit)
        shown, priced = costs_of(fit, posterior, question.cost)
        n = float(np.exp(Regret(posterior, priced, float(np.log(flops))).best_log_params().x))
    tokens = float(shown.tokens_for(flops, n))
    what = f"a budget of {format_flops(flops)} FLOP"
    check_optimum(np.array([n]), np.array([tokens]), np.array([True]), what=what, remedy="Use a larger budget")
    return Candidate(f"{format_flops(flops)} FLOP", n, tokens, flops)


def _compare(question: Question, fit_a: Fit, fit_b: Fit, a: Candidate, b: Candidate) -> RunComparison:
    with precision():
        posterior = question.posterior(fit_a)
        loss_a = _loss(posterior, a)
        loss_b = _loss(posterior if fit_b is fit_a else question.posterior(fit_b), b)
        one_a = fit_a.add_noise(loss_a, fit_a.seed, question.discrepancy)
        one_b = fit_b.add_noise(loss_b, fit_b.seed + 1, question.discrepancy)
        if fit_a is not fit_b:  # independent posteriors: any pairing will do
            pairs = np.random.default_rng(fit_a.seed).permutation(np.arange(posterior.count) % len(loss_b))
            loss_b, one_b = loss_b[pairs], one_b[pairs]
        shown, priced = costs_of(fit_a, posterior, question.cost)
        log_c = float(np.log(shown.flops(a.params, a.tokens)))
        least = LeastBudgets(posterior, priced, log_c, log_c - FURTHEST, log_c + FURTHEST)
        (for_a, found_a), (for_b, found_b) = least(loss_a), least(loss_b)
        speedup, converged = np.exp(for_b - for_a), found_a & found_b
    assumptions = Assumptions.of(
        fit_a, shown, discrepancy=question.discrepancy, unconverged=1 - float(converged.mean())
    )
    if fit_a is not fit_b:
        assumptions = replace(assumptions, health=Health((*fit_a.health.checks, *fit_b.health.checks)))
    return RunComparison(
        a=a,
        b=b,
        draws={"loss_a": loss_a, "loss_b": loss_b, "difference": loss_a - loss_b, "speedup": speedup},
        observed_difference=one_a - one_b,
        assumptions=assumptions,
    )


def _loss(posterior: LossPosterior, candidate: Candidate) -> Float[np.ndarray, " draw"]:
    log_n, log_d = (jnp.log(jnp.asarray(value, dtype=float)) for value in (candidate.params, candidate.tokens))
    return np.asarray(loss_at(posterior, log_n, log_d)) * (1 - candidate.gain)
