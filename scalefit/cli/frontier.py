"""`scalefit frontier`: the compute-optimal parameters, tokens and loss at each budget."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit.cli._app import app
from scalefit.cli._input import check_picture
from scalefit.cli._options import FitArgument, Json, Kind, Prob
from scalefit.cli._show import console, grid, health_json, print_json, say
from scalefit.units import percent

if TYPE_CHECKING:
    from scalefit.fits.fit import Fit


@app.command()
def frontier(
    fit: FitArgument,
    budgets: Annotated[str, typer.Option(help="FLOP: a list 1e21,1e22 or lowest:highest:how_many.")] = "",
    kind: Kind = None,
    prob: Prob = 0.9,
    plot: Annotated[Path | None, typer.Option(help="Also draw the frontier to this .png, .pdf or .svg.")] = None,
    as_json: Json = False,
) -> None:
    """The compute-optimal parameters, tokens and loss at each budget."""
    import numpy as np

    import scalefit as sf
    from scalefit._tables import json_ready
    from scalefit.text.fits import caution, health_sentence
    from scalefit.units import parse_budgets

    check_picture(plot, str(fit))
    fitted = sf.load(fit)
    smallest, largest = fitted.compute_range
    wanted = parse_budgets(budgets) if budgets else np.geomspace(smallest, 10 * largest, 9)
    front = fitted.frontier(wanted, kind=kind)
    table = front.summary(prob)
    doubt = health_sentence(fitted.health)
    ends = [caution(end, fitted.compute_range, front.kind, fitted.model.card) for end in (wanted.min(), wanted.max())]
    words = " ".join(filter(None, dict.fromkeys(ends)))
    if plot:
        _draw_frontier(fitted, wanted, prob, plot, kind)
    if as_json:
        rows = [{"flops": float(flops), **row} for flops, row in zip(wanted, json_ready(table).values(), strict=True)]
        shared = {"prob": prob, "kind": front.kind, "largest_run": largest, "health": health_json(fitted.health)}
        print_json({**shared, "caution": " ".join(filter(None, [doubt, words])), "frontier": rows})
        return
    out = console()
    if doubt:
        say(out, f"{doubt}\n")
    out.print(_frontier_table(front, prob))
    if words:
        say(out, f"\n{words}")


def _draw_frontier(fitted: "Fit", budgets: Any, prob: float, path: Path, kind: str | None) -> None:
    """The range of the budgets asked for, drawn smoothly; the default range for a single one."""
    import numpy as np

    from scalefit import plots

    smooth = np.geomspace(budgets.min(), budgets.max(), 60) if len(budgets) > 1 else None
    plots.save(plots.frontier(fitted, smooth, prob, kind=kind), path)


def _frontier_table(front: Any, prob: float) -> Any:
    from scalefit._intervals import interval
    from scalefit.units import format_count, format_flops

    columns = {
        "params": format_count,
        "tokens": format_count,
        "tokens_per_param": "{:.1f}".format,
        "loss": "{:.3f}".format,
    }
    found = {name: interval(getattr(front, name), prob) for name in columns}
    rows = [
        [format_flops(flops)]
        + ["{} [{}, {}]".format(*(form(v) for v in found[name][:, index])) for name, form in columns.items()]
        for index, flops in enumerate(front.flops)
    ]
    return grid(
        ["flops", *columns], rows, title=f"compute-optimal frontier; median and {percent(prob)} interval ({front.kind})"
    )
