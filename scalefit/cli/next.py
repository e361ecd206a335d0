"""`scalefit next`: which runs to make before a large one, the value of each, and when to stop."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit.cli import _options as options
from scalefit.cli._app import app
from scalefit.cli._decisions import compute_of, end, further_inputs, machines_of, shared_json
from scalefit.cli._files import check_picture, open_fit, save_picture
from scalefit.cli._show import console, number, print_grid, print_json, say

if TYPE_CHECKING:
    from scalefit.fits.fit import Fit
    from scalefit.planning import NextRuns
    from scalefit.recipes import RecipeFits

SHOWN = 10


@app.command("next")
def next_(
    fit: options.FitArgument,
    budget: Annotated[
        str, typer.Option(metavar="C", help="Of the large run: 5.76e23 FLOP, '512 H100 x 30 days', '$2M'.")
    ],
    spend: Annotated[str, typer.Option(metavar="S", help="The most that all new runs may cost, as the budget.")],
    candidates: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="Runs that could be made, params and tokens; 'diverges' is a probability."),
    ] = None,
    count: Annotated[int | None, typer.Option(metavar="K", help="Runs of a batch, at most; 5 by default.")] = None,
    aim: Annotated[
        str,
        typer.Option(help="plan, loss, 'plan and loss', or a quantity of the law, as in E; of recipes, which gain."),
    ] = "plan",
    threshold: Annotated[
        float, typer.Option(metavar="X", help="Of recipes: the gain in compute that is worth a change.")
    ] = 1.0,
    sure: Annotated[float, typer.Option(metavar="P", help="Of recipes: probability that settles the gain.")] = 0.95,
    max_params: options.MaxParams = None,
    max_tokens: Annotated[str | None, typer.Option(metavar="D", help="The most tokens of a run.")] = None,
    ratios: Annotated[
        str | None, typer.Option(metavar="LOW..HIGH", help="Fewest and most tokens per parameter, as in 2..200.")
    ] = None,
    accelerator: options.Accelerator = None,
    mfu: options.Mfu = None,
    price: options.Price = None,
    six_nd: options.SixNd = False,
    given: options.Inputs = None,
    law_only: options.LawOnly = False,
    seed: options.Seed = 0,
    plot: options.Plot = None,
    prob: options.Prob = 0.9,
    as_json: options.Json = False,
) -> None:
    """Which runs to make before a large one.

    The value of a run is what it is expected to save of the budget. Where no run saves its price, the answer is to
    stop. Of the file of `scalefit compare recipes -o`, runs are sought that settle which recipe is better.
    """
    import scalefit as sf
    from scalefit import plots
    from scalefit.fits.fit import Fit
    from scalefit.text import next_runs as text
    from scalefit.text.plans import assumptions_sentence, caution_about

    check_picture(plot, fit)
    machines, asked = machines_of(accelerator, mfu, price), _opened(fit, quiet=as_json)
    limits: dict[str, Any] = {"max_params": max_params, "max_tokens": max_tokens, "ratios": _ends(ratios)}
    limits |= {"count": count, "aim": aim, "candidates": candidates, "threshold": threshold, "sure": sure}
    fitted = asked if isinstance(asked, Fit) else asked[asked.baseline]
    shared: dict[str, Any] = {"machines": machines, "cost": compute_of(fitted, None, None, None, six_nd)}
    shared |= {"discrepancy": False if law_only else None, "seed": seed, **further_inputs(given, fitted.model.law)}
    found = sf.next_runs(asked, budget, spend=spend, **limits, **shared)
    if found.settle is not None and not isinstance(asked, Fit):
        fitted = asked[found.settle.recipe]
    if plot:
        save_picture(plots.next_runs(fitted, found), plot)
    planned = (found.params, float(found.cost.averaged().tokens_for(found.budget, found.params)))
    caution = " ".join(filter(None, [caution_about([planned], found.assumptions), text.next_runs_caution(found)]))
    words = text.next_runs_paragraph(found, prob)
    if as_json:
        print_json(_document(found, prob) | shared_json(caution, words, found.assumptions, prob))
    else:
        out = console()
        for paragraph in filter(None, [caution, words]):
            say(out, f"{paragraph}\n")
        _print(found, prob)
        say(out, assumptions_sentence(found.assumptions, prob))
    end(fitted.health)


def _opened(source: str | None, quiet: bool) -> "Fit | RecipeFits":
    """A fit, or fits of recipes, where the file has those."""
    import scalefit as sf
    from scalefit.io.sources import is_table
    from scalefit.recipes import RecipeFits

    path = Path(source or "")
    if source and path.is_file() and not is_table(path) and isinstance(found := sf.load(path), RecipeFits):
        return found
    return open_fit(source, quiet)


def _ends(text: str | None) -> tuple[str, str] | None:
    """Both ends of a range of tokens per parameter."""
    from scalefit.errors import OptionError

    if text is None:
        return None
    low, dots, high = text.partition("..")
    if not dots:
        raise OptionError(f"--ratios is a range, as in 2..200; got {text}.")
    return low, high


def _document(found: "NextRuns", prob: float) -> dict[str, Any]:
    import numpy as np

    from scalefit._tables import json_ready

    names = ("aim", "budget", "spend", "stop", "params", "regret", "resolution", "per_cost")
    document: dict[str, Any] = {name: getattr(found, name) for name in names}
    document["unit"] = found.cost.unit
    document["agreement"] = found.check.agreement
    document["batch"] = list(json_ready(found.batch_summary()).values())
    rows = found.summary(prob)
    if (settle := found.settle) is not None:
        document["settle"] = {x: getattr(settle, x) for x in ("recipe", "baseline", "threshold", "sure", "above")} | {
            "run": found.rank_of(settle.cheapest(found.values, found.prices)),
            "batch_settles": float(settle.chance(np.array(found.batch.value))),
        }
    document["worthwhile"] = [int(found.rank_of(run)) for run in found.worthwhile.runs]
    document["runs"] = list(json_ready(rows).values())
    return document


def _print(found: "NextRuns", prob: float) -> None:
    from scalefit._quantities import write
    from scalefit.loss_units import short
    from scalefit.units import chance, format_count, format_flops, percent

    batch = found.batch_summary()
    unit, of_loss = found.cost.unit, short(found.assumptions.loss_unit) if found.about_plan else "share"
    out, table = console(), found.summary(prob)
    counts = {"params": format_count, "tokens": format_count, "tokens_per_param": "{:.3g}".format}
    rows = []
    for rank, row in table.head(SHOWN).iterrows():
        cells = [form(row[name, ""]) for name, form in counts.items()]
        cells += [write(row["price", ""], unit), f"{row['value', 'mean']:.2g}"]
        if found.about_plan:
            cells.append(f"{row['value', 'lower']:.2g} to {row['value', 'upper']:.2g}")
            cells.append(write(row["in_budget", ""], unit))
            cells.append(number(row["ratio", ""], "{:.2g}".format))
        if found.settle is not None:
            cells.append(chance(row["settles", ""]))
        rows.append([str(rank), *cells, f"{row['in_batch', '']:.0f}"])
    header = ["rank", "params", "tokens", "D/N", f"price,\n{unit}", f"value,\n{of_loss}"]
    header += [f"{percent(prob)} of\noutcomes", f"worth in\nbudget, {unit}", "value\nover price"] * found.about_plan
    header += ["settles\nthe gain"] * (found.settle is not None)
    print_grid(out, [*header, "times in\nbatch"], rows, f"the {len(rows)} runs of most value, of {len(table)}")
    if not len(batch):
        return
    rows = [
        [str(place), format_count(row["params"]), format_count(row["tokens"]), write(row["price"], unit)]
        + [f"{row['gain']:.2g}", f"{row['value']:.2g}", format_flops(row["price_together"])]
        for place, row in batch.iterrows()
    ]
    header = ["run", "params", "tokens", f"price,\n{unit}", f"gain,\n{of_loss}", "value\ntogether", "price\ntogether"]
    print_grid(out, header, rows, "the batch; each run's gain is that given the runs before it")
