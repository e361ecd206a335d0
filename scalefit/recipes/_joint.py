"""Runs of several recipes in one table: which run is of which recipe, and each recipe's own discrepancy at its runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from scalefit._batching import padded_rows
from scalefit.model.discrepancy import Scales, coordinates, pivots
from scalefit.model.model import BoundModel
from scalefit.model.paths import AtPivots
from scalefit.runs import Runs

OWN_PIVOTS = 12  # of each recipe's own discrepancy: what few runs say of it
FEW = 8  # of them where recipes are many
MANY = 4
LONG = 4.0  # e-folds of compute, from which on a recipe's own discrepancy is no larger
STEP = 8  # rows of a recipe are padded to a multiple of it


@dataclass(frozen=True, eq=False)
class JointTable:
    """A model bound to the runs of all recipes, the baseline's first.

    Parameters
    ----------
    bound
        Of all runs.
    names
        Of the recipes.
    tables
        Their runs.
    own
        Shares of the shared discrepancy's scales that each recipe's own one may have.
    """

    bound: BoundModel
    names: tuple[str, ...]
    tables: tuple[Runs, ...]
    own: tuple[float, ...]

    @cached_property
    def code(self) -> Int[np.ndarray, " padded"]:
        """The recipe of every row of the padded table, 0 for the baseline."""
        codes = np.repeat(np.arange(len(self.tables)), [len(table) for table in self.tables])
        return codes[self.bound.padded]

    @cached_property
    def rows(self) -> Int[np.ndarray, "recipe row"]:
        """Rows of each recipe but the baseline, padded by repeating the last."""
        counts = [len(table) for table in self.tables]
        starts, most = np.cumsum([0, *counts[:-1]]), max(counts[1:])
        length = len(padded_rows(most, STEP))
        own = [start + np.minimum(np.arange(length), n - 1) for start, n in zip(starts, counts, strict=True)]
        return np.array(own[1:])

    @cached_property
    def counted(self) -> Float[np.ndarray, "recipe row"]:
        """Which of `rows` are runs, 1, and which padding, 0."""
        counts = np.array([len(table) for table in self.tables[1:]])
        return (np.arange(self.rows.shape[1]) < counts[:, None]).astype(float)

    @property
    def own_pivots(self) -> int:
        """How many pivots a recipe's own discrepancy has at most: of few runs no more than those."""
        most = max(len(table) for table in self.tables[1:])
        return min(OWN_PIVOTS if len(self.tables) <= MANY else FEW, len(padded_rows(most, 4)))

    @cached_property
    def components(self) -> list[tuple[Scales, Scales]]:
        """Scales of the shared discrepancy and of a recipe's own, every pair."""
        discrepancy = self.bound.model.discrepancy
        assert discrepancy is not None, "asked of a model without one"
        return [(scales, smaller(scales, share)) for scales in discrepancy.scales for share in self.own]

    @cached_property
    def shares(self) -> Float[np.ndarray, " component"]:
        """What a recipe's own discrepancy is of the shared one, in each component."""
        return np.array([own.compute / shared.compute for shared, own in self.components])

    @cached_property
    def shared(self) -> tuple[list[AtPivots], Float[np.ndarray, "component padded pivot"]]:
        """The shared discrepancy at its pivots, for each of `components`, and its basis at the runs."""
        centres, bases = self.bound.bases
        scales = [pair[0] for pair in self.components[:: len(self.own)]]
        at = [AtPivots.of(*each) for each in zip(scales, centres, strict=True)]
        return [each for each in at for _ in self.own], np.repeat(bases, len(self.own), axis=0)

    @cached_property
    def each(self) -> list[tuple[list[AtPivots], Float[np.ndarray, "component row pivot"]]]:
        """Of every recipe but the baseline: its own discrepancy at its pivots, and the basis at `rows`."""
        return [self._own(table, self.rows.shape[1]) for table in self.tables[1:]]

    def _own(self, table: Runs, length: int) -> tuple[list[AtPivots], Float[np.ndarray, "component row pivot"]]:
        u, most = coordinates({"params": table.params, "tokens": table.tokens}), self.own_pivots
        at, bases = [], np.zeros((len(self.components), length, most))
        for k, (scales, own) in enumerate(self.components):
            if k % len(self.own) == 0:
                centres, basis = pivots(scales, u)
            at.append(AtPivots.of(own, centres[:most]))
            bases[k, : len(u)] = self.shares[k] * basis[:, :most]
        return at, bases

    def by_recipe(self, slopes: Float[np.ndarray, "padded term"]) -> Float[np.ndarray, "padded column"]:
        """Slopes of the differences as columns: those of each recipe are zero at the runs of others."""
        one_hot = (self.code[:, None] == 1 + np.arange(len(self.tables) - 1)).astype(float)
        return (one_hot[:, :, None] * slopes[:, None]).reshape(len(slopes), -1)

    def columns(self, slopes: Float[np.ndarray, "padded term"]) -> Float[np.ndarray, "component padded column"]:
        """The basis of all that is linear: shared discrepancy, each recipe's own, and the differences' slopes."""
        _, shared = self.shared
        count, most, by_recipe = len(self.tables) - 1, self.own_pivots, self.by_recipe(slopes)
        own = np.zeros((*shared.shape[:2], count * most))
        for r, (_, basis) in enumerate(self.each):
            n = len(self.tables[1 + r])
            own[:, self.rows[r, :n], r * most : (r + 1) * most] = basis[:, :n]
        return np.concatenate([shared, own, np.broadcast_to(by_recipe, (len(own), *by_recipe.shape))], axis=2)


def smaller(scales: Scales, share: float) -> Scales:
    """The same lengths, a share of the standard deviations; of long processes less, so that recipes do not part ways.

    The shared discrepancy is the larger the longer it goes on. In public sweeps the difference of two recipes is not.
    """
    share = share * min(1.0, (LONG / scales.compute_length) ** 2)
    return scales._replace(compute=share * scales.compute, allocation=share * scales.allocation)


def joined(names: Sequence[str], tables: Sequence[Runs]) -> Runs:
    """All runs in one table, with the columns that every table has."""
    whole = tables[0].joined(*tables[1:]) if len(tables) > 1 else tables[0]
    return replace(whole, name=" + ".join(names))
