"""`scalefit frontier`: the compute-optimal parameters, tokens and loss at each budget."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit.cli import _options as options
from scalefit.cli._app import app
from scalefit.cli._decisions import compute_of, end, further_inputs
from scalefit.cli._files import check_picture, open_fit, save_picture
from scalefit.cli._show import console, health_json, interval_cell, print_grid, print_json, rows_json, say

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

    from scalefit.fits.fit import Fit
    from scalefit.frontier import Frontier


@app.command()
def frontier(
    fit: options.FitArgument,
    budgets: Annotated[
        str | None,
        typer.Option(
            metavar="C",
            help="FLOP: a list 1e21,1e22 or a grid lowest:highest:how_many; the data's and ten times more by default.",
        ),
    ] = None,
    given: options.Inputs = None,
    six_nd: options.SixNd = False,
    law_only: options.LawOnly = False,
    plot: options.Plot = None,
    prob: options.Prob = 0.9,
    as_json: options.Json = False,
) -> None:
    """Optimal parameters, tokens and loss along compute."""
    import numpy as np

    from scalefit.frontier.optimum import check_trades
    from scalefit.text.fits import caution, health_sentence, rule_sentence, search_sentence
    from scalefit.units import parse_budgets

    check_picture(plot, fit)
    fitted = open_fit(fit, quiet=as_json)
    inputs = further_inputs(given, fitted.model.law)
    check_trades(fitted.model.law, inputs)
    smallest, largest = fitted.compute_range
    wanted = parse_budgets(budgets) if budgets else np.geomspace(smallest, 10 * largest, 9)
    shared: dict[str, Any] = {"discrepancy": False if law_only else None, **inputs}
    shared["cost"] = compute_of(fitted, None, None, None, six_nd)
    front = fitted.frontier(wanted, **shared)
    doubt, evidence = health_sentence(fitted.health), fitted.model.evidence
    ends = [caution(end, fitted.compute_range, front.discrepancy, evidence) for end in (wanted.min(), wanted.max())]
    words = " ".join(filter(None, dict.fromkeys([search_sentence(front.unconverged), *ends, rule_sentence(front)])))
    if plot:
        _draw(fitted, wanted, prob, shared, plot)
    if as_json:
        document: dict[str, Any] = {"prob": prob, "discrepancy": front.discrepancy, "largest_run": largest}
        document |= {"loss_unit": front.loss_unit, "rule": front.rule}
        document |= {"health": health_json(fitted.health), "caution": " ".join(filter(None, [doubt, words]))}
        print_json({**document, "frontier": rows_json(front.summary(prob), "flops")})
    else:
        out = console()
        if doubt:
            say(out, f"{doubt}\n")
        _print(out, front, prob)
        if words:
            say(out, f"\n{words}")
    end(fitted.health)


def _draw(fitted: "Fit", budgets: "np.ndarray", prob: float, shared: dict[str, Any], path: Any) -> None:
    """The range of the budgets asked for, drawn smoothly; the default range for a single one."""
    import numpy as np

    from scalefit import plots

    smooth = np.geomspace(budgets.min(), budgets.max(), 60) if len(budgets) > 1 else None
    save_picture(plots.frontier(fitted, smooth, prob, **shared), path)


def _print(out: "Console", front: "Frontier", prob: float) -> None:
    """One row a budget: the optimum and its loss, each over its interval."""
    from scalefit._intervals import interval
    from scalefit.fits.fit import posterior_name
    from scalefit.units import format_count, format_flops, percent

    forms: dict[str, Any] = {"params": format_count, "tokens": format_count}
    forms |= {"tokens_per_param": "{:.3g}".format, "loss": "{:.4g}".format}
    found = {name: interval(getattr(front, name), prob) for name in forms}
    rows = [
        [format_flops(flops), *(interval_cell(found[name][:, index], form) for name, form in forms.items())]
        for index, flops in enumerate(front.flops)
    ]
    title = f"compute-optimal frontier; medians over intervals {percent(prob)}, {posterior_name(front.discrepancy)}"
    print_grid(out, ["flops", *list(forms)[:-1], f"loss,\n{front.loss_unit}"], rows, title)
