"""The first view, computed by Python on all draws, so that it is right without JavaScript."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scalefit._digits import written
from scalefit._intervals import interval
from scalefit._quantities import ratio, write
from scalefit.errors import QuestionError
from scalefit.fits.fit import Fit
from scalefit.frontier.optimum import trades
from scalefit.planning import Plan, plan
from scalefit.text.fits import caution, search_sentence
from scalefit.text.reports import answer_sentence
from scalefit.units import format_count, format_flops

PROB = 0.9
BUDGETS = (10.0, 3.0, 1.0)  # the first view's, in multiples of the largest run's compute: the first that has a plan
TABLE = (0.1, 1.0, 10.0, 100.0, 1000.0)
FURTHEST_FRONTIER = TABLE[-1]


@dataclass(frozen=True)
class Row:
    """A row of texts: a label, a value, and what stands beside it."""

    label: str
    value: str
    beside: str = ""


@dataclass(frozen=True)
class FirstView:
    """What the page shows before any script has run.

    Parameters
    ----------
    sentence, caution
        The answer, and how far it lies beyond the runs.
    tiles
        Its numbers.
    frontier
        The optimum at budgets, rows of texts under a header.
    plan
        Behind them; None where the law has no allocation.
    """

    sentence: str
    caution: str
    tiles: Sequence[Row]
    frontier: Sequence[Sequence[str]]
    plan: Plan | None


def first_view(fit: Fit, fixed: Mapping[str, Any]) -> FirstView:
    """The answer at the first of `BUDGETS` that has one.

    Parameters
    ----------
    fit
        A fit whose health is not "fail".
    fixed
        The law's inputs beyond params and tokens.
    """
    if not trades(fit.model.law):
        return FirstView(fit.headline(), "", (), (), None)
    found = _plan(fit, fixed)
    flops = found.flops
    far = caution(flops, fit.compute_range, found.assumptions.discrepancy, fit.model.evidence)
    words = [search_sentence(found.assumptions.unconverged), far]
    return FirstView(
        answer_sentence(found, PROB), " ".join(filter(None, words)), _tiles(found), _frontier(fit, fixed), found
    )


def _plan(fit: Fit, fixed: Mapping[str, Any]) -> Plan:
    for times in BUDGETS[:-1]:
        try:
            return plan(fit, times * fit.compute_range[1], **fixed)
        except QuestionError:
            continue
    return plan(fit, BUDGETS[-1] * fit.compute_range[1], **fixed)


def _tiles(found: Plan) -> list[Row]:
    draws = found.draws
    per = draws["D_opt"] / draws["N_opt"]
    waste = draws["wasted_compute"]
    loss = "{:.3f}".format
    return [
        Row("Parameters", format_count(found.params), _to(draws["N_opt"], format_count)),
        Row("Tokens", format_count(found.tokens), _to(draws["D_opt"], format_count)),
        Row("Expected loss", loss(found.loss), _to(draws["loss"], loss)),
        Row("Tokens per parameter", ratio(found.tokens_per_param), _to(per, ratio)),
        Row("Wasted by uncertainty", f"{waste.mean():.1%}", f"{np.quantile(waste, 0.95):.1%} in one case of twenty"),
    ]


def in_words(draws: np.ndarray) -> tuple[str, str]:
    """The median, and its interval as "1 to 3", to the digits that are certain; of one draw no interval."""
    ends = interval(draws, PROB)
    if np.isnan(ends[1]):
        return write(ends[0]), ""
    middle, low, high = written(ends, write)
    return middle, f"{low} to {high}"


def _to(draws: np.ndarray, form: Any) -> str:
    _, low, high = interval(draws, PROB)
    return "" if np.isnan(low) else f"{form(low)} to {form(high)}"


def _frontier(fit: Fit, fixed: Mapping[str, Any]) -> list[list[str]]:
    largest = fit.compute_range[1]
    front = fit.frontier(largest * np.array(TABLE), **fixed)
    forms: dict[str, Any] = {"params": format_count, "tokens": format_count, "tokens_per_param": ratio}
    forms["loss"] = "{:.3f}".format
    rows = []
    for index, flops in enumerate(front.flops):
        cells = [format_flops(flops), f"{ratio(TABLE[index])} times"]
        for name, form in forms.items():
            ends = interval(getattr(front, name)[:, index], PROB)
            cells.append(form(ends[0]) + ("" if np.isnan(ends[1]) else f" [{form(ends[1])}, {form(ends[2])}]"))
        rows.append(cells)
    return rows
