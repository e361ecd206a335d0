"""Several fits side by side: the optimum of each at the same budgets, and which reaches the lower loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scalefit._intervals import interval
from scalefit.errors import OptionError
from scalefit.fits.fit import Fit, check_fit
from scalefit.frontier.optimum import trades
from scalefit.reports.answer import FURTHEST_FRONTIER, PROB, TABLE
from scalefit.runs import refuse_other_unit
from scalefit.text.reports import (
    comparison_sentence,
    comparison_title,
    laws_sentence,
    laws_title,
    left_out_sentence,
)
from scalefit.units import chance, format_count, format_flops

MOST = 6  # fits in one picture
PLACES = 17  # budgets of the picture


@dataclass(frozen=True)
class Comparison:
    """What the page shows of several fits.

    Parameters
    ----------
    sentence, note
        Which is better at ten times the compute of the largest run; which fits are left out, and why.
    header, rows
        A table of texts: a row for every budget and fit.
    figure
        For the page's script: names, budgets, and the median, lower and upper end of params, tokens and loss of each.
    """

    sentence: str
    note: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    figure: dict[str, Any] | None = field(default=None)


def named_fits(fits: Any, redact: bool) -> dict[str, Fit]:
    """Fits by the name of their table, or of their law where the table is the same; letters where redacted.

    Raises
    ------
    OptionError
        There are none, or more than a picture shows.
    DataError
        Their losses are in different units.
    """
    given = list(fits.items()) if isinstance(fits, Mapping) else [(None, fit) for fit in fits]
    if not 1 <= len(given) <= MOST:
        raise OptionError(f"a report compares 1 to {MOST} fits, and there are {len(given)}. Give fewer.")
    for _, fit in given:
        check_fit(fit)
        refuse_other_unit(given[0][1].runs.unit, fit.runs.unit, fit.runs.name)
    tables, laws = ([of(fit) for _, fit in given] for of in (lambda fit: fit.runs.name, lambda fit: fit.model.law.name))
    own = tables if len({*tables}) == len(given) else laws if len({*laws}) == len(given) else None
    found: dict[str, Fit] = {}
    for number, (name, fit) in enumerate(given):
        label = str(name or (own[number] if own else f"{laws[number]} on {tables[number]}"))
        label = chr(ord("A") + number) if redact else label
        found[label if label not in found else f"{label} ({number + 1})"] = fit
    return found


def compared(fits: Mapping[str, Fit], fixed: Mapping[str, dict[str, Any]], paired: bool = False) -> Comparison | None:
    """The comparison; None of a single fit, or where the first has no answer.

    Parameters
    ----------
    fits
        By name, the first the one of the page.
    fixed
        Of each, its law's inputs beyond params and tokens.
    paired
        Whether draw i of every fit has the same law beneath; else posteriors are independent.
    """
    bad = {name: fit for name, fit in fits.items() if fit.health.verdict == "fail" or not trades(fit.model.law)}
    good = {name: fit for name, fit in fits.items() if name not in bad}
    if len(fits) < 2 or next(iter(fits)) in bad:
        return None
    note = left_out_sentence(list(bad))
    if len(good) < 2:
        return Comparison("", note)
    largest = max(fit.compute_range[1] for fit in good.values())
    smallest = min(fit.compute_range[0] for fit in good.values())
    some, all_of = largest * np.array(TABLE), np.geomspace(smallest, FURTHEST_FRONTIER * largest, PLACES)
    shown = {name: fit.frontier(some, **fixed[name]) for name, fit in good.items()}
    drawn = {name: fit.frontier(all_of, **fixed[name]) for name, fit in good.items()}
    losses = {name: front.loss for name, front in shown.items()}
    if not paired:
        losses = {name: _shuffled(loss, seed) for seed, (name, loss) in enumerate(losses.items())}
    better = {name: _shares_below(losses, name) for name in losses}
    same = len({fit.runs.fingerprint for fit in good.values()}) == 1  # of the same runs no fit is better off
    rows = [
        [
            format_flops(flops),
            name,
            _written(front.params[:, at], format_count),
            _written(front.tokens[:, at], format_count),
            _written(front.loss[:, at], "{:.3f}".format),
            *([] if same else [chance(better[name][at])]),
        ]
        for at, flops in enumerate(some)
        for name, front in shown.items()
    ]
    header = ["FLOP", "fit", "parameters", "tokens", "loss", *([] if same else ["P(lowest loss)"])]
    at, unit = TABLE.index(10.0), next(iter(good.values())).runs.unit
    if same:
        expected = {name: interval(loss[:, at], PROB) for name, loss in losses.items()}
        sentence, title = laws_sentence(some[at], expected, unit), laws_title(some[at], expected)
    else:
        best = max(good, key=lambda name: better[name][at])
        others = {name: interval(losses[name][:, at] - losses[best][:, at], PROB) for name in good if name != best}
        sentence = comparison_sentence(some[at], best, better[best][at], others, unit)
        title = comparison_title(some[at], best, better[best][at])
    figure = {
        "names": list(good),
        "budgets": all_of.tolist(),
        "largest": [fit.compute_range[1] for fit in good.values()],
        **{
            part: [_ends(getattr(front, part)) for front in drawn.values()]
            for part in ("params", "tokens", "tokens_per_param", "loss")
        },
        "title": title,
    }
    return Comparison(sentence, note, header, rows, figure)


def _shuffled(loss: np.ndarray, seed: int, count: int = 2000) -> np.ndarray:
    """Draws in another order: posteriors of different tables are independent, whichever way they are paired."""
    rng = np.random.default_rng([seed, 7])
    return loss[rng.permutation(np.arange(max(count, len(loss))) % len(loss))[:count]]


def _shares_below(losses: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """How often a fit has the lowest loss, at each budget."""
    return np.all([losses[name] <= each for each in losses.values()], axis=0).mean(axis=0)


def _ends(draws: np.ndarray) -> list[list[float | None]]:
    """Median, lower and upper at every budget, for JSON."""
    ends = interval(draws, PROB).T
    return [[float(f"{v:.6g}") if np.isfinite(v) else None for v in three] for three in ends]


def _written(draws: np.ndarray, form: Any) -> str:
    middle, low, high = interval(draws, PROB)
    return form(middle) + ("" if np.isnan(low) else f" [{form(low)}, {form(high)}]")
