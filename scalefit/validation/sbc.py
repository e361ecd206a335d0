"""Simulation-based calibration: does a posterior hold the truth as often as it says, over all that the prior expects?

Parameters are drawn from the prior, losses from the parameters, and the posterior is fitted to the losses. Among its
draws the true value then has any rank with equal probability, if model, engine and code are right (Talts et al. 2018,
arXiv 1804.06788). Ranks of parameters alone cannot see a posterior that ignores part of the data, those of the
log-likelihood do (Modrák et al. 2023, arXiv 2211.02383).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._aot import cached_jit
from scalefit._batching import chunks
from scalefit._intervals import check_prob
from scalefit._precision import precision
from scalefit._random import prng_key
from scalefit.counting import flops_6nd
from scalefit.diagnostics.convergence import convergence
from scalefit.errors import DataError, FitError, OptionError
from scalefit.frontier.frontier import optima
from scalefit.frontier.optimum import TRADED, planning_draws, trades
from scalefit.infer import Engine, EngineResult, Report, attempt, checked_engine, progress_report, usual_chunk
from scalefit.infer.many import table_seed
from scalefit.io.datasets import load
from scalefit.io.read import read_inputs
from scalefit.laws import Law
from scalefit.model.data import Data, Theta, over_tiles
from scalefit.model.model import BoundModel, Model, simulated
from scalefit.runs import Runs
from scalefit.units import distinct_labels, positive_budgets
from scalefit.validation import _ecdf as ecdf
from scalefit.validation.scores import inside

if TYPE_CHECKING:
    import pandas as pd


HIGHEST = 10.0  # nats: what the highest loss of a simulated table is written as


@dataclass(frozen=True, eq=False)
class SBC:
    """Where the truth lies among the draws of posteriors fitted to tables simulated from it.

    ranks : quantity -> (ranked table,), how many of `draws` posterior draws lie below the truth, 0 to `draws`.
    tables : how many were simulated; failures : table's index -> why it has no fit, and so no rank.
    effective : (ranked table,), the least bulk ESS of its parameters: under `draws`, its draws depend on each other.
    """

    ranks: dict[str, np.ndarray]
    draws: int
    tables: int
    failures: dict[int, str]
    effective: np.ndarray

    def __str__(self) -> str:
        failed = f"{len(self.failures)} of {self.tables} tables failed and have no rank"
        few = f"in {self.dependent} the draws are worth fewer than {self.draws} independent ones"
        outside = [name for name, kept in self.inside().items() if not kept]
        said = f"outside: {', '.join(outside)}" if outside else f"all {len(self.ranks)} quantities inside"
        return f"SBC on {self.tables} tables: {said} (false alarms 5% over all); {failed}; {few}"

    @property
    def dependent(self) -> int:
        """How many tables have fewer effective draws than are ranked, which pushes ranks to both ends."""
        return int((self.effective < self.draws).sum())

    @property
    def shares(self) -> np.ndarray:
        """Where the distribution of ranks is looked at, (draws,): shares of the posterior, strictly between 0 and 1."""
        return np.arange(1, self.draws + 1) / (self.draws + 1)

    def ecdf(self, quantity: str) -> np.ndarray:
        """The share of tables whose truth lies in the lowest `shares` of the posterior, (draws,)."""
        return self._counts(quantity) / len(self.effective)

    def band(self, prob: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Least and largest `ecdf`, each (draws,), within which one calibrated quantity stays with probability `prob`.

        All along, not at each share alone; exact, up to the counts' being whole numbers, which makes it rarer to leave.
        """
        lower, upper = ecdf.band(len(self.effective), self.draws + 1, check_prob(prob))
        return lower / len(self.effective), upper / len(self.effective)

    def family_prob(self, false_alarm: float = 0.05) -> float:
        """The probability of one quantity's band, so that any of a calibrated posterior is outside at most so often.

        Bonferroni's: quantities share tables, so that the true rate is lower.
        """
        return 1 - check_prob(false_alarm) / len(self.ranks)

    def inside(self, false_alarm: float = 0.05) -> dict[str, bool]:
        """Whether each quantity stays in its band; calibrated ones all do, but for a probability of `false_alarm`."""
        least = 1 - self.family_prob(false_alarm)
        return {name: p > least for name, p in self.p_values().items()}

    def p_values(self) -> dict[str, float]:
        """The probability that a calibrated quantity strays from its band's middle as far as this one, by name."""
        total, steps = len(self.effective), self.draws + 1
        return {name: ecdf.p_value(self._counts(name), total, steps) for name in self.ranks}

    def difference(self, false_alarm: float = 0.05) -> dict[str, float]:
        """The largest distance of each `ecdf` from that of uniform ranks; at 1 or more it has left the band."""
        lower, upper = ecdf.band(len(self.effective), self.draws + 1, self.family_prob(false_alarm))
        middle = self.shares * len(self.effective)
        found = {}
        for name in self.ranks:
            off = self._counts(name) - middle
            found[name] = float(np.where(off > 0, off / (upper + 1 - middle), off / (lower - 1 - middle)).max())
        return found

    def coverage(self, prob: float = 0.9) -> dict[str, float]:
        """The share of tables whose central interval of probability `prob` holds the truth, by quantity."""
        middle = {name: (ranks + 0.5) / (self.draws + 1) for name, ranks in self.ranks.items()}
        return {name: float(inside(values, check_prob(prob)).mean()) for name, values in middle.items()}

    def summary(self, false_alarm: float = 0.05) -> "pd.DataFrame":
        """Rows: quantities, worst first. Columns: difference, p_value, inside, cover_50, cover_90."""
        return sbc_table(self, false_alarm)

    def _counts(self, quantity: str) -> np.ndarray:
        return ecdf.counts_below(self.ranks[quantity], self.draws + 1)


def sbc(
    model: Model | None = None,
    design: Any = None,
    *,
    engine: Engine | str | None = None,
    tables: int = 1000,
    draws: int = 99,
    budget: Any = None,
    seed: int = 0,
    progress: bool | None = None,
) -> SBC:
    """Fit `tables` tables simulated from the model's own prior, and rank the truth among `draws` posterior draws.

    design : the runs' inputs, anything `read_runs` takes (no loss is needed); every other run of the Chinchilla table
    by default. engine : as for `fit`. Ranked are the parameters of law and noise, what the law derives from them, the
    log-likelihood, and N_opt and the loss there at `budget` (FLOP; ten times the design's largest run) where the law
    trades parameters against tokens, with its further inputs at the design's geometric mean.

    The prior is in units, and here they are the same for truth and posterior: inputs in the design's geometric means,
    the loss in a unit of its own, so that the prior's far tables, with losses that no one would see, count like any
    other. (`fit` takes the table's geometric mean loss for that unit.) A table that cannot be fitted, or whose losses
    leave the range of numbers, is in `failures`. That depends on the data alone, so that the other ranks stay uniform
    where posteriors are right, and say nothing of such tables.

    Raises `DataError` where the design cannot carry the model, `FitError` where the engine gives fewer draws than are
    to be ranked or no table could be fitted.
    """
    model, engine = model or Model(), checked_engine(engine, seed)
    for name, count, least in (("tables", tables, 2), ("draws", draws, 4)):
        if count < least:
            raise OptionError(f"{name} is a whole number of at least {least}; got {count}.")
    ranks: dict[str, list[int]] = {}
    effective, failures = [], {}
    with precision(), progress_report(f"SBC, {tables} tables", progress) as report:
        study = _study(model, design, budget, tables, seed)
        for i, result in _fitted(study, engine, seed, report):
            if isinstance(result, str):
                failures[i] = result
                continue
            effective.append(_effective(result))
            for name, rank in _ranks(study, i, _thinned(result, draws, engine), table_seed(seed, i)).items():
                ranks.setdefault(name, []).append(rank)
    if not ranks:
        raise FitError(f"none of {tables} tables could be fitted: {failures[0]}")
    return SBC({k: np.array(v) for k, v in ranks.items()}, draws, tables, failures, np.array(effective))


@dataclass(frozen=True, eq=False)
class _Study:
    """What tables are made of.

    bound : the model on the design, every loss 1. truth : name -> (table,), in its units; log_loss : (table, padded
    run). budget : FLOP, and `others`, inputs beyond params and tokens there; None where nothing is traded.
    """

    bound: BoundModel
    truth: Theta
    log_loss: np.ndarray
    budget: float | None
    others: dict[str, float]


def _study(model: Model, design: Any, budget: Any, tables: int, seed: int) -> _Study:
    """Truths drawn from the prior and losses drawn from them."""
    x = _default_design(model.law) if design is None else read_inputs(design, model.law.inputs)
    bound = model.on_design(Runs({**x, "loss": np.ones(len(next(iter(x.values()))))}, name="the design"))
    of_truth, of_noise = jax.random.split(prng_key(seed))
    truth = model.space.sample(of_truth, tables)
    log_loss = np.asarray(simulated(model, truth, bound.data.x, jax.random.split(of_noise, tables)))
    log_loss = log_loss[:, bound.padded]  # padding repeats the last run
    flops, others = None, {}
    if trades(model.law):
        flops = float(positive_budgets(10 * flops_6nd(x["params"], x["tokens"]).max() if budget is None else budget)[0])
        others = {name: float(np.exp(np.log(x[name]).mean())) for name in set(x) - TRADED}
    return _Study(bound, {name: np.asarray(values) for name, values in truth.items()}, log_loss, flops, others)


def _default_design(law: Law) -> dict[str, np.ndarray]:
    """Every other run of the Chinchilla table, which knows params, tokens and flops only."""
    runs = load("chinchilla")
    if unknown := sorted(set(law.inputs) - set(runs.columns)):
        raise DataError(f"the {law.name} law also takes {', '.join(unknown)}: give a design with these columns.")
    return {name: runs[name][::2] for name in law.inputs}


def _fitted(study: _Study, engine: Engine, seed: int, report: Report) -> Iterator[tuple[int, EngineResult | str]]:
    """(index, what the engine makes of it, or why nothing) of every table; a chunk at a time, to spare memory."""
    tables = len(study.log_loss)
    for indices in chunks(tables, usual_chunk()):
        bounds = {i: attempt(partial(_table, study, i)) for i in indices}
        good = {i: bound for i, bound in bounds.items() if isinstance(bound, BoundModel)}
        found: dict[int, EngineResult | str] = {i: bound for i, bound in bounds.items() if isinstance(bound, str)}
        if good:
            fits = engine.run_many(list(good.values()), [table_seed(seed, i) for i in good])
            found |= dict(zip(good, fits, strict=True))
        yield from sorted(found.items())
        report(indices.stop, tables)


def _table(study: _Study, index: int) -> BoundModel:
    """A simulated table. The unit its losses are written in is free: one in which a table of runs may hold them."""
    bound = study.bound
    log_loss = study.log_loss[index, : len(bound.runs)]
    highest = log_loss.max()
    with np.errstate(all="ignore"):
        loss, unit = HIGHEST * np.exp(log_loss - highest), HIGHEST * float(np.exp(-highest))
    if not (np.isfinite(loss).all() and loss.min() > 0 and 0 < unit < np.inf):
        raise DataError("its simulated losses leave the range of numbers.")
    return BoundModel(bound.model, Runs({**bound.runs.columns, "loss": loss}), {**bound.unit, "loss": unit})


def _thinned(result: EngineResult, draws: int, engine: Engine) -> dict[str, np.ndarray]:
    """As many draws, evenly from all chains, name -> (draw,)."""
    flat = {name: np.asarray(values).reshape(-1) for name, values in result.draws.items()}
    total = len(next(iter(flat.values())))
    if total < draws:
        raise OptionError(f"{engine} gives {total} draws of a table, and ranks among {draws} were asked for.")
    take = ((np.arange(draws) + 0.5) * total / draws).astype(int)
    return {name: values[take] for name, values in flat.items()}


def _effective(result: EngineResult) -> float:
    """The least bulk ESS of a table's parameters; one draw many times over, which has none, counts as one."""
    with np.errstate(invalid="ignore"):
        found = convergence({name: np.asarray(values) for name, values in result.draws.items()})
    return min(float(np.nan_to_num(figures["ess_bulk"], nan=1.0)) for figures in found.values())


def _ranks(study: _Study, index: int, draws: Mapping[str, np.ndarray], seed: int) -> dict[str, int]:
    """Of each quantity, how many draws lie below the truth; a tie is broken at random."""
    rng = np.random.default_rng(seed)
    theta = {name: np.append(study.truth[name][index], values) for name, values in draws.items()}
    quantities = _quantities(study, theta, study.log_loss[index])
    return {name: ecdf.rank(values[0], values[1:], rng) for name, values in quantities.items()}


def _quantities(study: _Study, theta: Theta, log_loss: np.ndarray) -> dict[str, np.ndarray]:
    """Everything that is ranked, name -> (draw,): inputs in raw units, losses in the prior's."""
    model, data = study.bound.model, study.bound.data
    raw = study.bound.to_raw(theta)
    found = {**{p.name: raw[p.name] for p in model.params()}, **model.law.derived(raw)}
    found["log_likelihood"] = _log_likelihood(model, theta, data._replace(log_loss=jnp.asarray(log_loss)))
    if study.budget is not None:
        draws = planning_draws(model.law, raw, study.others)
        log_n, loss, _ = optima(model.law, draws, jnp.log(jnp.asarray([study.budget])))
        label = distinct_labels([study.budget])[0]
        found |= {f"N_opt[{label}]": np.exp(log_n[:, 0]), f"loss[{label}]": loss[:, 0]}
    return {name: np.asarray(values, dtype=float) for name, values in found.items()}


@cached_jit("model")
def _log_likelihood(model: Model, theta: Theta, data: Data) -> Array:
    """Of the whole table, (draw,)."""
    of_tile = lambda draw, tile: (tile.weight * model.log_likelihood(draw, tile)).sum()
    return jax.vmap(lambda draw: over_tiles(partial(of_tile, draw), data))(theta)


def sbc_table(found: SBC, false_alarm: float = 0.05) -> "pd.DataFrame":
    """Rows: quantities, the one furthest from uniform ranks first; columns as `SBC.summary` says."""
    import pandas as pd

    columns = {
        "difference": found.difference(false_alarm),
        "p_value": found.p_values(),
        "inside": found.inside(false_alarm),
        "cover_50": found.coverage(0.5),
        "cover_90": found.coverage(0.9),
    }
    return pd.DataFrame(columns).rename_axis("quantity").sort_values("difference", ascending=False)
