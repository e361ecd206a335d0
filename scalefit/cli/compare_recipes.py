"""`scalefit compare recipes`: is a recipe better than a baseline, by what factor of compute, and how sure is that."""

from pathlib import Path
from typing import Annotated, Any

import typer

from scalefit.cli import _options as options
from scalefit.cli._app import compare
from scalefit.cli._choices import Exponents, Floor
from scalefit.cli._decisions import shared_json
from scalefit.cli._files import check_picture, check_target, read, save_fit, save_picture, say_notes
from scalefit.cli._show import NONE, console, interval_json, print_grid, print_json, say
from scalefit.errors import OptionError

CELLS = {"gain": "gain", "token_gain": "gain in\ntokens", "param_gain": "gain in\nparameters"}
PROBS = {"50": 0.5, "90": 0.9}


@compare.command("recipes")
def compare_recipes(
    runs: Annotated[str, typer.Argument(metavar="RUNS|FIT", help="A table of runs, or a file of fits that -o wrote.")],
    by: Annotated[str, typer.Option(metavar="COL", help="Column that names the recipe of every run.")] = "recipe",
    baseline: Annotated[
        str | None, typer.Option(metavar="A", help="The recipe to compare with; the one of most runs by default.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="C", help="Budget, FLOP or $; the largest run's compute by default.")
    ] = None,
    threshold: Annotated[
        float, typer.Option(metavar="X", help="The gain in compute that is worth a change of recipe.")
    ] = 1.0,
    sure: Annotated[float, typer.Option(metavar="P", help="Probability for `promote` or `hold`.")] = 0.95,
    floor: Annotated[Floor, typer.Option(help="How floors E of recipes differ.")] = Floor.POOLED,
    exponents: Annotated[Exponents, typer.Option(help="Whether exponents of recipes differ.")] = Exponents.SHARED,
    params: options.Params = None,
    tokens: options.Tokens = None,
    flops: options.Flops = None,
    loss: options.Loss = None,
    format: options.Format = None,
    history: options.History = None,
    keep_unfinished: options.KeepUnfinished = False,
    six_nd: options.SixNd = False,
    law_only: options.LawOnly = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write the fits of all recipes to this netCDF file."),
    ] = None,
    plot: options.Plot = None,
    seed: options.Seed = 0,
    prob: options.Prob = 0.9,
    as_json: options.Json = False,
) -> None:
    """Which recipe is better, by what factor of compute."""
    import scalefit as sf
    from scalefit._intervals import check_prob
    from scalefit.text.fits import caution
    from scalefit.text.recipes import recipes_paragraph

    check_prob(prob)
    check_picture(plot, runs)
    check_target(output, runs)
    columns = {"params": params, "tokens": tokens, "flops": flops, "loss": loss}
    given: dict[str, Any] = {"format": format, "history": history, "keep_unfinished": keep_unfinished, **columns}
    wanted: dict[str, Any] = {"floor": str(floor), "exponents": str(exponents), "seed": seed}
    fits = _stored(runs, {**given, "by": by, **wanted})
    if fits is None:
        table = read(runs, None, **given, recipe=by)
        say_notes(table, as_json)
        fits = sf.fit_recipes(table, by="recipe", baseline=baseline, **wanted)
    save_fit(fits, output)
    asked: dict[str, Any] = {"at": at, "threshold": threshold, "sure": sure, "discrepancy": False if law_only else None}
    if six_nd:
        asked["cost"] = sf.SixND()
    found = sf.compare_recipes(fits, baseline=baseline, **asked)
    words = recipes_paragraph(found, prob)
    rests = found.assumptions
    beyond = caution(found.at, rests.compute_range, rests.discrepancy, rests.evidence)
    if plot:
        save_picture(sf.plots.recipes(found, prob=prob), plot)
    if as_json:
        shared = shared_json(beyond, words, found.assumptions, prob)
        print_json({**_document(found), **shared})
    else:
        _print(found, beyond, words, prob)
    if "fail" in found.health.values():
        raise typer.Exit(1)


def _stored(source: str, given: dict[str, Any]) -> Any:
    """The fits in a file that this command wrote, None where it is another file; what reads or fits is refused."""
    from scalefit._netcdf import SIGNATURE
    from scalefit.recipes.load import load_recipes

    path = Path(source)
    if path.suffix != ".nc":
        if not path.is_file():
            return None
        with path.open("rb") as file:
            if file.read(len(SIGNATURE)) != SIGNATURE:
                return None
    unset = {"by": "recipe", "floor": Floor.POOLED, "exponents": Exponents.SHARED, "seed": 0}
    if wrong := sorted(name for name, value in given.items() if value and value != unset.get(name)):
        raise OptionError(f"--{wrong[0].replace('_', '-')} is for tables, and {source} has fits. Leave it out.")
    return load_recipes(path)


def _document(found: Any) -> dict[str, Any]:
    from scalefit.recipes.comparison import gain_interval

    def one(gain: Any) -> dict[str, Any]:
        ends = {
            name: {inside: interval_json(gain_interval(gain.draws[name], p)) for inside, p in PROBS.items()}
            for name in (*CELLS, "difference")
        }
        numbers = {name: getattr(gain, name) for name in ("chance", "chance_of_threshold", "share_of_prior", "verdict")}
        run = gain.settled_by
        return {
            "runs": gain.runs,
            **numbers,
            **ends,
            "chance_of_rank": found.chance_of_rank[gain.name].tolist(),
            "settled_by": None if run is None else run._asdict(),
            "health": found.health[gain.name],
        }

    along = {
        name: [
            {"budget": c, **interval_json(gain_interval(each, 0.9))}
            for c, each in zip(found.budgets, gain.along.T, strict=True)
        ]
        for name, gain in found.recipes.items()
    }
    return {
        "baseline": found.baseline,
        "at": found.at,
        "winner": found.winner,
        "recipes": {name: one(gain) for name, gain in found.recipes.items()},
        "gain_along": along,
    }


def _print(found: Any, beyond: str, words: str, prob: float) -> None:
    from scalefit.fits.fit import posterior_name
    from scalefit.text.plans import assumptions_sentence
    from scalefit.text.recipes import gain_cell
    from scalefit.units import chance, format_flops, percent

    out = console()
    for paragraph in filter(None, [beyond, words]):
        say(out, f"{paragraph}\n")
    best = found.chance_of_rank
    rows = [
        [
            name,
            gain.verdict,
            *(gain_cell(gain, key, prob) for key in CELLS),
            chance(gain.chance),
            chance(best[name][0]),
            percent(round(gain.share_of_prior, 2)),
            str(gain.runs),
            found.health[name],
        ]
        for name, gain in ((name, found[name]) for name in found.ranking)
    ]
    rows.append([found.baseline, "baseline", *[NONE] * 4, chance(best[found.baseline][0]), NONE, NONE,
                 found.health[found.baseline]])  # fmt: skip
    header = ["recipe", "verdict", *CELLS.values(), "P(gain\n> 1)", "P(best)", "share of\nprior", "runs", "health"]
    included = posterior_name(found.assumptions.discrepancy)
    title = f"at {format_flops(found.at)} FLOP, beside {found.baseline}; intervals {percent(prob)}, {included}"
    print_grid(out, header, rows, title, left=2)
    say(out, assumptions_sentence(found.assumptions, prob))
