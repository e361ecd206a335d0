"""Simulation-based calibration: does a posterior hold the truth as often as it says, over all that the prior expects?

Parameters are drawn from the prior, losses from the parameters, and the posterior is fitted to the losses. Among its
draws the true value then has any rank with equal probability, if model, engine and code are right (Talts et al. 2018,
arXiv 1804.06788). Ranks of parameters alone cannot see a posterior that ignores part of the data, those of the
log-likelihood do (Modrák et al. 2023, arXiv 2211.02383).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from jaxtyping import Float, Int

from scalefit._intervals import check_prob
from scalefit._precision import precision
from scalefit._results import PROB, Result
from scalefit._tables import Table
from scalefit.errors import FitError, OptionError
from scalefit.infer import Engine, Shard, checked_engine, progress_report
from scalefit.infer.many import table_seed
from scalefit.model.model import Model
from scalefit.validation import _ecdf as ecdf
from scalefit.validation._sbc_study import fitted, least_ess, make_study, ranks_of, thinned
from scalefit.validation.scores import inside

if TYPE_CHECKING:
    import pandas as pd

FALSE_ALARM = 0.05


@dataclass(frozen=True, eq=False, repr=False)
class SBC(Result):
    """Ranks of the truth among the draws of posteriors fitted to tables simulated from it.

    Parameters
    ----------
    ranks
        Quantity -> (ranked table,), how many of `draws` posterior draws lie below the truth, 0 to `draws`.
    draws
        How many posterior draws are ranked.
    tables
        How many tables were simulated.
    failures
        Index of a table -> why it has no fit, and so no rank.
    effective
        (ranked table,), the least bulk ESS of the parameters: under `draws`, draws depend on each other.
    shard
        Which of the tables these are.
    """

    ranks: dict[str, Int[np.ndarray, " table"]]
    draws: int
    tables: int
    failures: dict[int, str]
    effective: Float[np.ndarray, " table"]
    shard: Shard = field(default_factory=Shard)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """All tables of a study whose shards were computed apart, in their order.

        Parameters
        ----------
        parts
            What `sbc(..., shard=...)` returned for every shard.

        Raises
        ------
        OptionError
            A shard is missing or there twice, or they are of different studies.
        """
        first = parts[0]
        if len({(each.draws, each.tables, *sorted(each.ranks)) for each in parts}) > 1:
            raise OptionError("these shards are of different studies. Give those of one.")
        indices = np.concatenate([each.shard.of(range(each.tables)) for each in parts])
        if sorted(indices) != list(range(first.tables)):
            raise OptionError(f"these shards have {len(indices)} of {first.tables} tables. Give each shard once.")
        order = np.argsort(np.concatenate([each._ranked for each in parts]))
        ranks = {name: np.concatenate([each.ranks[name] for each in parts])[order] for name in first.ranks}
        failures = dict(sorted((index, why) for each in parts for index, why in each.failures.items()))
        effective = np.concatenate([each.effective for each in parts])[order]
        return cls(ranks, first.draws, first.tables, failures, effective)

    @property
    def _ranked(self) -> list[int]:
        """The tables that have a rank."""
        return [index for index in self.shard.of(range(self.tables)) if index not in self.failures]

    def headline(self, prob: float = PROB) -> str:
        """Whether quantities stay in their bands, and how many tables failed or have dependent draws."""
        outside = [name for name, kept in self.inside().items() if not kept]
        verdict = (
            f"finds {', '.join(outside)} outside the band"
            if outside
            else f"finds all {len(self.ranks)} quantities inside their bands"
        )
        count = len(self.shard.of(range(self.tables)))
        return (
            f"SBC on {count} tables {verdict} (false alarms {FALSE_ALARM:.0%} over all); {len(self.failures)} "
            f"tables failed, and {self.dependent} have fewer than {self.draws} effective draws."
        )

    @property
    def dependent(self) -> int:
        """How many tables have fewer effective draws than are ranked, which pushes ranks to both ends."""
        return int((self.effective < self.draws).sum())

    @property
    def shares(self) -> Float[np.ndarray, " share"]:
        """Shares of the posterior, strictly between 0 and 1, at which the distribution of ranks is looked at."""
        return np.arange(1, self.draws + 1) / (self.draws + 1)

    def ecdf(self, quantity: str) -> Float[np.ndarray, " share"]:
        """The share of tables whose truth lies in the lowest `shares` of the posterior."""
        return self._counts(quantity) / len(self.effective)

    def band(self, prob: float = 0.95) -> tuple[Float[np.ndarray, " share"], Float[np.ndarray, " share"]]:
        """The band that the `ecdf` of one calibrated quantity stays in with probability `prob`, at all shares at once.

        Parameters
        ----------
        prob
            Probability of the whole band; exact, but for counts being whole numbers, which makes it rarer to leave.

        Returns
        -------
        tuple
            Least and largest `ecdf`.
        """
        lower, upper = ecdf.band(len(self.effective), self.draws + 1, check_prob(prob))
        return lower / len(self.effective), upper / len(self.effective)

    def family_prob(self, false_alarm: float = FALSE_ALARM) -> float:
        """The probability of one band at which some quantity of a calibrated posterior is outside at most so often.

        Bonferroni's correction: quantities share tables, so that the true rate of false alarms is lower.
        """
        return 1 - check_prob(false_alarm) / len(self.ranks)

    def inside(self, false_alarm: float = FALSE_ALARM) -> dict[str, bool]:
        """Whether each quantity stays in its band; calibrated ones all do, but for a probability of `false_alarm`."""
        least = 1 - self.family_prob(false_alarm)
        return {name: p > least for name, p in self.p_values().items()}

    def p_values(self) -> dict[str, float]:
        """The probability that a calibrated quantity strays from its band's middle as far as this one, by name."""
        total, steps = len(self.effective), self.draws + 1
        return {name: ecdf.p_value(self._counts(name), total, steps) for name in self.ranks}

    def difference(self, false_alarm: float = FALSE_ALARM) -> dict[str, float]:
        """The largest distance of each `ecdf` from that of uniform ranks; at 1 or more it has left the band."""
        lower, upper = ecdf.band(len(self.effective), self.draws + 1, self.family_prob(false_alarm))
        middle = self.shares * len(self.effective)
        found = {}
        for name in self.ranks:
            off = self._counts(name) - middle
            found[name] = float(np.where(off > 0, off / (upper + 1 - middle), off / (lower - 1 - middle)).max())
        return found

    def coverage(self, prob: float = 0.9) -> dict[str, float]:
        """The share of tables whose central interval of probability `prob` contains the truth, by quantity."""
        middle = {name: (ranks + 0.5) / (self.draws + 1) for name, ranks in self.ranks.items()}
        return {name: float(inside(values, check_prob(prob)).mean()) for name, values in middle.items()}

    def summary(self, false_alarm: float = FALSE_ALARM) -> "pd.DataFrame":
        """Calibration of every quantity.

        Parameters
        ----------
        false_alarm
            Probability that any quantity of a calibrated posterior is outside its band.

        Returns
        -------
        pandas.DataFrame
            Rows: quantities, the one furthest from uniform ranks first. Columns: difference, p_value, inside, cover_50,
            cover_90.
        """
        columns: dict[str, Any] = {"difference": self.difference(false_alarm), "p_value": self.p_values()}
        columns |= {"inside": self.inside(false_alarm), "cover_50": self.coverage(0.5), "cover_90": self.coverage(0.9)}
        return self._sorted_by("difference", columns, -1).frame()

    def _table(self, prob: float) -> Table:
        """By p-value: distances from the middle take a second."""
        columns: dict[str, Any] = {"p_value": self.p_values(), "inside": self.inside()}
        columns |= {"cover_50": self.coverage(0.5), "cover_90": self.coverage(0.9)}
        return self._sorted_by("p_value", columns, 1).in_units(dict.fromkeys(("cover_50", "cover_90"), "share"))

    def _sorted_by(self, name: str, columns: dict[str, Any], sign: int) -> Table:
        rows = sorted(self.ranks, key=lambda row: sign * columns[name][row])
        return Table("quantity", rows, {key: [values[row] for row in rows] for key, values in columns.items()})

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
    shard: str | None = None,
    progress: bool | None = None,
) -> SBC:
    """Fit tables simulated from the model's own prior, and rank the truth among posterior draws.

    Ranked are the parameters of law and noise, what the law derives from them, the log-likelihood, and N_opt and the
    loss there at the budget where the law trades parameters against tokens.

    Parameters
    ----------
    model
        `Model()` by default.
    design
        The runs' inputs, anything `read_runs` takes without a loss; every other run of the Chinchilla table by default.
    engine
        As for `fit`.
    tables, draws
        How many tables are simulated, and how many posterior draws the truth is ranked among.
    budget
        FLOP; ten times the design's largest run by default. Further inputs of the law are at their geometric means.
    seed
        Of truths, tables and fits.
    shard
        "3/64" fits every 64th table from the third; `SBC.joined` puts the shards together.
    progress
        Whether to show it; None shows it in a terminal.

    Returns
    -------
    SBC
        A table that cannot be fitted, or whose losses leave the range of numbers, is in its `failures`.

    Raises
    ------
    DataError
        The design has too few runs for the model.
    OptionError
        A number is too small, or the engine gives fewer draws than are to be ranked.
    FitError
        No table could be fitted.

    Notes
    -----
    The prior is in units, which are the same for truth and posterior: inputs in the design's geometric means, the loss
    in a unit of its own, so that improbable tables, far out in the prior, count like any other.
    (`fit` takes the table's geometric mean loss for that unit.) Failure depends on the data alone, so that the other
    ranks are uniform where posteriors are right, and tell nothing of such tables.
    """
    model, engine, part = model or Model(), checked_engine(engine, seed), Shard.read(shard)
    for name, count, least in (("tables", tables, 2), ("draws", draws, 4)):
        if count < least:
            raise OptionError(f"{name} is {count}. Give a whole number of at least {least}.")
    ranks: dict[str, list[int]] = {}
    effective, failures = [], {}
    with precision(), progress_report(f"SBC, {tables} tables", progress) as report:
        study = make_study(model, design, budget, tables, seed)
        for i, result in fitted(study, engine, seed, report, part.of(range(tables))):
            if isinstance(result, str):
                failures[i] = result
                continue
            effective.append(least_ess(result))
            for name, rank in ranks_of(study, i, thinned(result, draws, engine), table_seed(seed, i)).items():
                ranks.setdefault(name, []).append(rank)
    if not ranks:
        count, why = len(part.of(range(tables))), next(iter(failures.values()), "the shard has none")
        raise FitError(f"none of {count} tables could be fitted: {why}")
    return SBC({k: np.array(v) for k, v in ranks.items()}, draws, tables, failures, np.array(effective), part)
