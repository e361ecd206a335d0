"""`fit_recipes`: one joint posterior over several recipes of the same law."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit._intervals import interval
from scalefit._labelled import labelled
from scalefit._precision import precision
from scalefit._quantities import ranged, write
from scalefit._results import PROB, Result
from scalefit._tables import Table, interval_columns
from scalefit.errors import OptionError
from scalefit.fits.fit import Fit
from scalefit.frontier.optimum import check_trades
from scalefit.model.model import Model
from scalefit.planning.least_budgets import Settle, SeveralFits
from scalefit.recipes._fits import UNSEEN, fits_of, raw_of
from scalefit.recipes._joint import JointTable, joined
from scalefit.recipes._paths import paths_of_recipes
from scalefit.recipes._posterior import JointPosterior, linear_point, sample_joint
from scalefit.recipes._settle import gain_to_settle, refuse_free_floors
from scalefit.recipes._storage import save
from scalefit.recipes._tables import read_recipes
from scalefit.recipes._terms import Differences, Terms
from scalefit.units import percent

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

DIFFERENCES = Differences()


@dataclass(frozen=True, eq=False, repr=False)
class RecipeFits(Result, SeveralFits, Mapping[str, Fit]):
    """Fits of several recipes, whose draws are paired: draw i of every recipe has the same law beneath.

    Parameters
    ----------
    fits
        Recipe -> `Fit`, the baseline first. Each answers every question of a fit.
    baseline
        The recipe that others are compared with.
    draws
        What sets each other recipe apart, recipe -> name -> (draw,): "params" and "tokens", by which N and D count
        more than the baseline's; "E", "alpha", "beta" and "level", ratios to the baseline's, where they may differ.
    differences
        The prior scales of these differences.
    unseen
        The fit of a recipe of which there are no runs: what is known of any before its first run.
    """

    fits: Mapping[str, Fit]
    baseline: str
    draws: Mapping[str, Mapping[str, np.ndarray]]
    differences: Differences
    unseen: Fit

    def __getitem__(self, recipe: str) -> Fit:
        if recipe not in self.fits:
            raise OptionError(f"there is no recipe {recipe!r}. Choose from {', '.join(self.fits)}.")
        return self.fits[recipe]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fits)

    def __len__(self) -> int:
        return len(self.fits)

    @property
    def others(self) -> tuple[str, ...]:
        """All recipes but the baseline."""
        return tuple(name for name in self.fits if name != self.baseline)

    def to_settle(self, recipe: str | None, *asked: Any) -> tuple[Fit, Settle]:
        """The fit of a recipe, and whether its gain is above a threshold, for `next_runs`."""
        refuse_free_floors(self.draws)
        return gain_to_settle(self.fits, recipe, *asked)

    def headline(self, prob: float = PROB) -> str:
        """How N and D of the first recipes count beside the baseline's."""
        said = []
        for name in self.others[:3]:
            n, d = (ranged(interval(self.draws[name][x], prob), write) for x in ("params", "tokens"))
            said.append(f"under {name}, N counts {n} times and D {d} times as under {self.baseline}")
        more = f", and {len(self.others) - 3} more recipes" if len(self.others) > 3 else ""
        runs = ", ".join(f"{len(self.fits[name].runs)} of {name}" for name in list(self.fits)[:4])
        return (
            f"{len(self.fits)} recipes of one {self.fits[self.baseline].model.law.name} law ({runs} runs): "
            f"{'; '.join(said)}{more} ({percent(prob)} intervals, with discrepancy)."
        )

    def summary(self, prob: float = PROB) -> "pd.DataFrame":
        """What sets each recipe apart from the baseline.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.

        Returns
        -------
        pandas.DataFrame
            Rows: recipes. Columns: runs, then each name of `draws` with median, lower and upper.
        """
        return self._table(prob).frame()

    def to_xarray(self) -> "xr.Dataset":
        """The draws with names, over (recipe, draw).

        Returns
        -------
        xarray.Dataset
            Variables: the names of `draws`. Attributes: baseline.
        """
        names = next(iter(self.draws.values()))
        variables = {x: (("recipe", "draw"), np.array([self.draws[name][x] for name in self.others])) for x in names}
        return labelled(variables, {"recipe": ("recipe", list(self.others))}, {"baseline": self.baseline}, UNITS)

    def residuals(self) -> "pd.DataFrame":
        """Each run's residual off its recipe's model, recipe by recipe; the columns are those of `Fit.residuals`."""
        import pandas as pd

        return pd.concat({name: fit.residuals() for name, fit in self.fits.items()}, names=["recipe"])

    def save(self, path: str | Path) -> Path:
        """Write the fits of all recipes to one netCDF file, complete or not at all.

        Parameters
        ----------
        path
            Where to; a file there is replaced. `sf.load` reads it, with the draws as they are, to the bit.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        StorageError
            The place cannot be written, or the law is a function.
        """
        return save(path, self.fits, self.unseen, self.draws, self.differences)

    def _table(self, prob: float) -> Table:
        columns: dict[Any, Any] = {("runs", ""): [len(self.fits[name].runs) for name in self.others]}
        for x in next(iter(self.draws.values())):
            ends = np.array([interval(self.draws[name][x], prob) for name in self.others]).T
            columns |= interval_columns(x, ends)
        return Table("recipe", list(self.others), columns).in_units(UNITS)


UNITS = dict.fromkeys(("params", "tokens", "E", "alpha", "beta", "level"), "1")


def fit_recipes(
    runs: Any,
    model: Model | None = None,
    *,
    by: str = "recipe",
    baseline: str | None = None,
    floor: str = "pooled",
    exponents: str = "shared",
    loss: list[str] | tuple[str, ...] | None = None,
    differences: Differences = DIFFERENCES,
    seed: int = 0,
) -> RecipeFits:
    """Fit one scaling law to the runs of several recipes together.

    A run of recipe B with N parameters and D tokens has the loss that the baseline would have with rho_N N parameters
    and rho_D D tokens (Volkova et al. 2026), with a floor that differs little, and with a discrepancy that the recipes
    share beside a smaller one of its own. A few runs of B are then enough: what they leave open is filled in from the
    baseline's sweep, and from how much recipes differed in public sweeps.

    Parameters
    ----------
    runs
        One table with a column that names the recipe of every run; or a mapping, recipe -> anything `read_runs` takes.
    model
        The law, noise, priors and discrepancy that recipes share: the Chinchilla law with Student-t noise and a
        discrepancy by default.
    by
        The column that names the recipe.
    baseline
        The recipe that others are compared with; the one with the most runs by default.
    floor
        "pooled": ln E of recipes differs by about `differences.floor`. "shared": it is the same. "free": it and the
        size of all losses may be any, as where recipes are data sets or evaluations.
    exponents
        "shared": alpha and beta are the same. "pooled": they differ by about `differences.exponent`.
    loss
        Columns of one table, each the loss on another evaluation of the same runs: the recipes are then these columns,
        and floors are free.
    differences
        Prior scales of the differences; the defaults were learned on public sweeps.
    seed
        The same seed gives the same draws on one platform.

    Returns
    -------
    RecipeFits
        `result["B"]` is a `Fit` that answers every question.

    Raises
    ------
    DataError
        There are fewer than two recipes, or the table has too few runs for the model.
    OptionError
        An option is unknown, the baseline is none of the recipes, or the law has no params and tokens.

    Notes
    -----
    Traps that this avoids: a law through three runs of B goes through them exactly and has no interval; the ratio of
    two laws' A depends on their alpha, and is no factor of N where these differ; runs of A and B at different budgets
    or tokens per parameter differ by more than the recipe, so compare at matched runs or through the law; a seed moves
    a loss by about as much as the noise, so that one pair of runs is one draw of it.

    References
    ----------
    Volkova et al. 2026, arXiv 2602.07712.
    """
    model = model or Model()
    check_trades(model.law, dict.fromkeys(set(model.law.inputs) - {"params", "tokens"}))
    names, tables = read_recipes(runs, by, baseline, loss)
    if loss is not None and floor == "pooled":
        floor = "free"
    terms = Terms.of(model.law, differences, floor, exponents)
    table = JointTable(model.bind(joined(names, tables)), names, tables, differences.own)
    at = linear_point(table, terms)
    law_only = sample_joint(table, terms, at, False, (1.0,), seed).with_unseen(terms, seed)
    if not table.bound.model.has_discrepancy:
        return _result(table, terms, differences, fits_of(table, terms, law_only, None, [], [], seed), law_only)
    joint = sample_joint(table, terms, at, True, _prior(table, differences), seed).with_unseen(terms, seed)
    with precision():
        raw = [raw_of(table, terms, joint, r) for r in range(len(names) + 1)]
        joint, paths, falling = paths_of_recipes(table, joint, raw, seed)
    return _result(table, terms, differences, fits_of(table, terms, law_only, joint, paths, falling, seed), joint)


def _prior(table: JointTable, differences: Differences) -> tuple[float, ...]:
    """Prior probability of each of the components."""
    discrepancy = table.bound.model.discrepancy
    assert discrepancy is not None, "asked of a model with one"
    return tuple(p * q for p in discrepancy.probabilities for q in differences.probabilities)


def _result(
    table: JointTable, terms: Terms, differences: Differences, fits: Mapping[str, Fit], joint: JointPosterior
) -> RecipeFits:
    draws = {
        name: dict(zip(terms.names, np.exp(joint.delta[:, r]).T, strict=True)) for r, name in enumerate(table.names[1:])
    }
    fits = dict(fits)
    return RecipeFits(fits, table.names[0], draws, differences, fits.pop(UNSEEN))
