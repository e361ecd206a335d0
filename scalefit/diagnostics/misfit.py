"""Does the model fit the runs? Residuals against what law, discrepancy and noise account for together.

A misfit that the discrepancy carries is no alarm: its covariance is in every test here. Trends and level shifts are
score tests, F of one degree of freedom, Bonferroni's over all directions; the other statistics are compared with
their posterior predictive distribution. On tables of the model itself each check alarms in less than .2 % of tables.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from scalefit.diagnostics.checks import Check, Draws, grade
from scalefit.diagnostics.clusters import check_clusters
from scalefit.diagnostics.explained import Explained, components_of, explained, shared_errors
from scalefit.diagnostics.far_runs import FarRuns, is_few, of_draws
from scalefit.diagnostics.floor import check_floor
from scalefit.diagnostics.learning import check_exponents
from scalefit.diagnostics.predictive import check_predictive
from scalefit.diagnostics.residuals import residuals_of
from scalefit.diagnostics.rows import percent, row_names
from scalefit.model.model import BoundModel
from scalefit.units import format_count, format_flops

TREND_ALARM, LEVEL_ALARM = 0.002, 0.005  # familywise p, Bonferroni's, by which the second is the more careful
LEAST_SHIFT, LEAST_TREND = 0.008, 0.002  # of the loss, below which a shift of level or a trend is no alarm
MOST_NOISE = 0.02  # of the loss
APART, APART_SHARE, SMALLEST_PART = 4.0, 0.03, 0.15  # Ashman's D, distance in ln loss, share of the runs
SIZES, CUTS, FEWEST = 14, 24, 4  # groups of like size, places of a shift, runs on each side of it


class Axis(NamedTuple):
    """What runs are ordered by: its name, its logarithm, (run,), and how to write a value."""

    name: str
    log: Float[np.ndarray, " run"]

    def write(self, log: float) -> str:
        """A value of it in words."""
        return f"{format_flops(np.exp(log))} FLOP" if self.name == "compute" else format_count(np.exp(log))


def check_misfit(bound: BoundModel, draws: Draws) -> Iterator[Check]:
    """Check that law, discrepancy and noise together describe the runs.

    Parameters
    ----------
    bound
        The model bound to its table.
    draws
        Raw parameters, name -> (chain, draw).

    Yields
    ------
    Check
        "trend", "level", "noise", "populations", "far runs", "floor", and those of `check_predictive` and
        `check_clusters`; of a table with hardly more runs than parameters "far runs" alone.
    """
    if is_few(bound):
        yield of_draws(bound, draws).check(bound.runs)
        return
    residuals = residuals_of(bound, draws)
    if not (np.isfinite(residuals.off).all() and np.isfinite(residuals.slopes).all()):
        return
    components = components_of(bound.model)
    shared = shared_errors(bound, draws, residuals.rows)
    found = explained(residuals, components, shared)
    axes = axes_of(bound, residuals.rows)
    yield check_trend(found, axes, explained(residuals, (), shared) if components else None)
    yield check_level(found, axes)
    yield check_noise(found)
    yield check_populations(found)
    yield FarRuns.of(found).check(bound.runs)
    yield from check_floor(bound, found)
    yield from check_exponents(bound, found)
    yield from check_predictive(found, axes)
    yield from check_clusters(bound.runs, found)


def axes_of(bound: BoundModel, rows: np.ndarray) -> list[Axis]:
    """Compute and size; the law's first input where runs have none."""
    runs = bound.runs
    if not {"params", "tokens"} <= set(runs.columns):
        first = bound.model.law.inputs[0]
        return [Axis(first, np.log(np.asarray(runs[first], dtype=float))[rows])]
    both = (("compute", runs.params * runs.tokens * 6), ("params", runs.params))
    return [Axis(name, np.log(values)[rows]) for name, values in both]


class Scores(NamedTuple):
    """Score tests of directions: p of each, and how far it moves ln loss, (direction,)."""

    p: Float[np.ndarray, " direction"]
    size: Float[np.ndarray, " direction"]

    @property
    def worst(self) -> tuple[int, float]:
        """The direction of least p, and Bonferroni's p over all."""
        i = int(self.p.argmin())
        return i, min(1.0, float(self.p[i]) * len(self.p))


def score(found: Explained, directions: Float[np.ndarray, "run direction"]) -> Scores:
    """Test whether residuals move along directions by more than law, discrepancy and noise account for."""
    from scipy.special import fdtrc

    y = found.gaussian
    whitened, spare = found.whiten(directions), len(y) - found.of.slopes.shape[1] - 1
    total, along = float(y @ found.whiten(y)), whitened.T @ y
    norm = np.maximum(np.einsum("rd,rd->d", directions, whitened), 1e-12 * (directions**2).sum(0) + 1e-300)
    explained_part = np.minimum(along**2 / norm, total)
    p = fdtrc(1, spare, explained_part / np.maximum((total - explained_part) / spare, 1e-300))
    return Scores(p, along / norm)


def check_trend(found: Explained, axes: list[Axis], law_only: Explained | None) -> Check:
    """Check residuals against smooth curves along compute and tokens per parameter, and bends along each axis."""
    names, directions = _curves(found, axes)
    scores = score(found, directions)
    i, p = scores.worst
    part = np.abs(scores.size[i] * found.whiten(directions[:, i]))
    if p >= TREND_ALARM or part.max() < LEAST_TREND:
        sentence = f"no trend of the residuals is beyond what the model accounts for (p {p:.1g})"
        if law_only and (alone := score(law_only, directions).worst[1]) < TREND_ALARM:
            sentence = (
                f"the discrepancy accounts for a trend of the law's residuals (p {alone:.1g} without it, {p:.1g})"
            )
        return Check("trend", "ok", p, f"{sentence}.")
    sentence = (
        f"the residuals have a trend along {names[i]} beyond {found.model} (p {p:.1g}), mostly in "
        f"{row_names(found.of.rows, part)}. Look at how these runs were tuned, or "
        f"{'choose another law' if law_only else 'include the discrepancy'}."
    )
    return Check("trend", "review", p, sentence)


def _curves(found: Explained, axes: list[Axis]) -> tuple[list[str], Float[np.ndarray, "run direction"]]:
    x, r = (_standard(values) for values in found.of.at.T)
    ratio = "tokens per parameter"
    both = {
        "compute": x,
        ratio: r,
        "compute squared": x * x,
        f"{ratio} squared": r * r,
        f"compute times {ratio}": x * r,
    }
    if not np.ptp(r):
        both = {axes[0].name: x, f"{axes[0].name} squared": x * x}
    for axis in axes:
        for cut in np.unique(np.quantile(axis.log, np.linspace(0.18, 0.82, 6))):
            both[f"{axis.name} from {axis.write(cut)} on"] = np.maximum(axis.log - cut, 0.0)
    return list(both), np.stack(list(both.values()), axis=1)


def check_level(found: Explained, axes: list[Axis]) -> Check:
    """Check that runs above some compute or size, or of one size, are on the level of the others."""
    groups = {k: v for axis in axes for k, v in _groups(axis)}
    if not groups:
        return Check("level", "ok", 1.0, "there are too few runs to compare their levels.")
    inside = np.stack(list(groups.values()), axis=1)
    scores = score(found, inside.astype(float))
    large = np.abs(scores.size) >= LEAST_SHIFT
    i = int(np.where(large, scores.p, 2.0).argmin())
    p = min(1.0, float(scores.p[i]) * len(scores.p))
    if not large[i] or p >= LEVEL_ALARM:
        return Check(
            "level", "ok", p if large[i] else 1.0, f"no group of runs is {percent(LEAST_SHIFT)} off the others."
        )
    shift, group = scores.size[i], list(groups)[i]
    sentence = (
        f"the runs with {group} lie {percent(abs(shift))} {'above' if shift > 0 else 'below'} the others (p {p:.1g}), "
        f"in {row_names(found.of.rows, inside[:, i])}. Check that all runs share data, tokenizer, tuning and "
        "evaluation, and fit the groups apart."
    )
    return Check("level", "review", p, sentence)


def _groups(axis: Axis) -> Iterator[tuple[str, Bool[np.ndarray, " run"]]]:
    """Runs above a value, and runs of like value, each with its name."""
    log, many = axis.log, len(axis.log)
    values = np.unique(np.round(log, 2))
    cuts = (values[1:] + values[:-1]) / 2
    if len(cuts) > CUTS:
        cuts = np.unique(np.quantile(log, np.linspace(0.04, 0.96, CUTS)))
    for cut in cuts:
        above = log > cut
        if FEWEST <= above.sum() <= many - FEWEST:
            below = above.sum() > many / 2  # the smaller part is the one to name
            yield f"{axis.name} {'below' if below else 'above'} {axis.write(cut)}", above ^ below
    edges = values - 0.01 if len(values) <= SIZES else np.quantile(log, np.linspace(0, 1, SIZES)[:-1])
    edges = np.append(edges, np.inf)
    for low, *highs in zip(edges[:-1], edges[1:], np.append(edges[2:], np.inf), strict=True):
        for high in sorted(set(highs)):
            inside = (log >= low) & (log < high)
            if FEWEST - 1 <= inside.sum() <= many / 2:
                yield f"{axis.name} from {axis.write(log[inside].min())} to {axis.write(log[inside].max())}", inside


def check_noise(found: Explained) -> Check:
    """Check the scale of the noise against that of careful runs."""
    sentence = f"the noise is {percent(found.sigma)} of the loss"
    if found.sigma > MOST_NOISE:
        sentence += (
            f", more than the {MOST_NOISE:.0%} of runs that differ by their seed alone, most in "
            f"{row_names(found.of.rows, np.abs(found.left))}. Look for runs of other data, tuning or evaluation."
        )
    return Check("noise", grade(found.sigma, found.sigma <= MOST_NOISE, True), found.sigma, sentence.rstrip(".") + ".")


def check_populations(found: Explained) -> Check:
    """Check that residuals have one mode: Ashman's D of the two groups that any threshold makes.

    References
    ----------
    Ashman, Bird and Zepf 1994, Astron. J. 108, 2348.
    """
    left, many = np.sort(found.left), len(found.left)
    least = max(int(np.ceil(SMALLEST_PART * many)), FEWEST)
    if many < 2 * least:
        return Check("populations", "ok", 0.0, "there are too few runs to see two modes.")
    cut = np.arange(least, many - least + 1)
    quartile = lambda start, count, q: left[start + np.round(q * (count - 1)).astype(int)]
    sides = [(0 * cut, cut), (cut, many - cut)]
    low, high = (quartile(*side, 0.5) for side in sides)
    scale = [(quartile(*side, 0.75) - quartile(*side, 0.25)) / 1.349 for side in sides]
    apart = (high - low) / np.maximum(np.hypot(*scale) / 2**0.5, 1e-9)
    i = int(np.where(high - low > APART_SHARE, apart, 0.0).argmax())
    if apart[i] <= APART or high[i] - low[i] <= APART_SHARE:
        return Check("populations", "ok", float(apart[i]), "the residuals have one mode.")
    above = found.left >= left[cut[i]]
    fewer = above if above.sum() <= many / 2 else ~above
    sentence = (
        f"the residuals have two modes {percent(high[i] - low[i])} of the loss apart, as of two corpora in one table; "
        f"the smaller group is {row_names(found.of.rows, fewer)}. Fit the groups apart."
    )
    return Check("populations", "review", float(apart[i]), sentence)


def _standard(values: Float[np.ndarray, " run"]) -> Float[np.ndarray, " run"]:
    spread = values.std()
    return (values - values.mean()) / spread if spread > 1e-6 else np.zeros_like(values)
