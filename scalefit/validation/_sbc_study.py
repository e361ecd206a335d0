"""The tables of SBC: simulated from the prior, fitted a chunk at a time, and the ranks of the truth in each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from scalefit._aot import cached_jit
from scalefit._batching import chunks
from scalefit._quantities import at_budget
from scalefit._random import prng_key
from scalefit.counting import flops_6nd
from scalefit.diagnostics.convergence import convergence
from scalefit.errors import DataError, OptionError, QuestionError
from scalefit.frontier.frontier import optima
from scalefit.frontier.optimum import TRADED, planning_draws, trades
from scalefit.infer import Engine, EngineResult, Report, attempt, usual_chunk
from scalefit.infer.many import table_seed
from scalefit.io.datasets import load
from scalefit.io.read import read_inputs
from scalefit.laws import Law
from scalefit.model.data import Data, Theta, over_tiles
from scalefit.model.model import BoundModel, Model, simulated
from scalefit.runs import Runs
from scalefit.units import distinct_labels, positive_budgets
from scalefit.validation import _ecdf as ecdf

HIGHEST = 10.0  # nats: what the highest loss of a simulated table is written as


@dataclass(frozen=True, eq=False)
class Study:
    """What tables are made of.

    Parameters
    ----------
    bound
        The model on the design, every loss 1.
    truth
        Name -> (table,), in its units.
    log_loss
        Simulated.
    budget
        FLOP; None where the law has no allocation.
    others
        Inputs beyond params and tokens at the budget, by name.
    """

    bound: BoundModel
    truth: Theta
    log_loss: Float[np.ndarray, "table padded"]
    budget: float | None
    others: dict[str, float]


def make_study(model: Model, design: Any, budget: Any, tables: int, seed: int) -> Study:
    """Truths drawn from the prior and losses drawn from them."""
    if isinstance(design, Runs) and design.cluster:
        raise QuestionError("simulation-based calibration draws every run by itself. Leave cluster out of the design.")
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
    return Study(bound, {name: np.asarray(values) for name, values in truth.items()}, log_loss, flops, others)


def _default_design(law: Law) -> dict[str, np.ndarray]:
    """Every other run of the Chinchilla table, which has params, tokens and flops only."""
    runs = load("chinchilla")
    if unknown := sorted(set(law.inputs) - set(runs.columns)):
        raise DataError(f"the {law.name} law also takes {', '.join(unknown)}. Give a design with these columns.")
    return {name: runs[name][::2] for name in law.inputs}


def fitted(
    study: Study, engine: Engine, seed: int, report: Report, tables: range
) -> Iterator[tuple[int, EngineResult | str]]:
    """The index of each of `tables`, and its engine's result or why there is none; in chunks, to spare memory."""
    for places in chunks(len(tables), usual_chunk()):
        indices = tables[places.start : places.stop]
        bounds = {i: attempt(partial(_table, study, i)) for i in indices}
        good = {i: bound for i, bound in bounds.items() if isinstance(bound, BoundModel)}
        found: dict[int, EngineResult | str] = {i: bound for i, bound in bounds.items() if isinstance(bound, str)}
        if good:
            fits = engine.run_many(list(good.values()), [table_seed(seed, i) for i in good])
            found |= dict(zip(good, fits, strict=True))
        yield from sorted(found.items())
        report(places.stop, len(tables))


def _table(study: Study, index: int) -> BoundModel:
    """A simulated table. The unit its losses are written in is free: one in which a table of runs may hold them."""
    bound = study.bound
    log_loss = study.log_loss[index, : len(bound.runs)]
    highest = log_loss.max()
    with np.errstate(all="ignore"):
        loss, unit = HIGHEST * np.exp(log_loss - highest), HIGHEST * float(np.exp(-highest))
    if not (np.isfinite(loss).all() and loss.min() > 0 and 0 < unit < np.inf):
        raise DataError("its simulated losses leave the range of numbers.")
    return BoundModel(bound.model, Runs({**bound.runs.columns, "loss": loss}), {**bound.unit, "loss": unit})


def thinned(result: EngineResult, draws: int, engine: Engine) -> dict[str, np.ndarray]:
    """As many draws, evenly from all chains, name -> (draw,)."""
    flat = {name: np.asarray(values).reshape(-1) for name, values in result.draws.items()}
    total = len(next(iter(flat.values())))
    if total < draws:
        raise OptionError(f"{engine} gives {total} draws of a table, too few to rank among {draws}. Use fewer draws.")
    take = ((np.arange(draws) + 0.5) * total / draws).astype(int)
    return {name: values[take] for name, values in flat.items()}


def least_ess(result: EngineResult) -> float:
    """The least bulk ESS of a table's parameters; one draw many times over, which has none, counts as one."""
    draws, stats = ({k: np.asarray(v) for k, v in part.items()} for part in (result.draws, result.stats))
    with np.errstate(invalid="ignore"):
        found = convergence(draws, stats)
    return min(float(np.nan_to_num(figures["ess_bulk"], nan=1.0)) for figures in found.values())


def ranks_of(study: Study, index: int, draws: Mapping[str, np.ndarray], seed: int) -> dict[str, int]:
    """Of each quantity, how many draws lie below the truth; a tie is broken at random."""
    rng = np.random.default_rng(seed)
    theta = {name: np.append(study.truth[name][index], values) for name, values in draws.items()}
    quantities = _quantities(study, theta, study.log_loss[index])
    return {name: ecdf.rank(values[0], values[1:], rng) for name, values in quantities.items()}


def _quantities(study: Study, theta: Theta, log_loss: Float[np.ndarray, " padded"]) -> dict[str, np.ndarray]:
    """Everything that is ranked, name -> (draw,): inputs in raw units, losses in the prior's."""
    model, data = study.bound.model, study.bound.data
    raw = study.bound.to_raw(theta)
    found = {**{p.name: raw[p.name] for p in model.params()}, **model.law.derived(raw)}
    found["log_likelihood"] = _log_likelihood(model, theta, data._replace(log_loss=jnp.asarray(log_loss)))
    if study.budget is not None:
        draws = planning_draws(model.law, raw, study.others)
        log_n, loss, _ = optima(model.law, draws, jnp.log(jnp.asarray([study.budget])))
        label = distinct_labels([study.budget])[0]
        found |= {at_budget("N_opt", label): np.exp(log_n[:, 0]), at_budget("loss", label): loss[:, 0]}
    return {name: np.asarray(values, dtype=float) for name, values in found.items()}


@cached_jit("model")
def _log_likelihood(model: Model, theta: Theta, data: Data) -> Float[Array, " draw"]:
    """Of the whole table."""
    of_tile = lambda draw, tile: (tile.weight * model.log_likelihood(draw, tile)).sum()
    return jax.vmap(lambda draw: over_tiles(partial(of_tile, draw), data))(theta)
