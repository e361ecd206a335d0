"""`scalefit learn-prior`: the scales of a law's own error, learned from sweeps of one's own."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit.cli._app import app
from scalefit.cli._input import check_target, read
from scalefit.cli._options import Flops, Json, Loss, Params, Seed, Tokens
from scalefit.cli._show import console, grid, print_json, say

if TYPE_CHECKING:
    from scalefit.validation import LearnedDiscrepancy


COLUMNS = {"90": "90 % held", "50": "50 % held", "crps": "CRPS", "ratio": "to law alone", "mae": "median error"}


@app.command()
def learn_prior(
    tables: Annotated[list[str], typer.Argument(metavar="RUNS...", help="Sweeps: files or shipped tables, one each.")],
    params: Params = None,
    tokens: Tokens = None,
    flops: Flops = None,
    loss: Loss = None,
    law: Annotated[str, typer.Option(help="See `scalefit laws`.")] = "chinchilla",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the scales to this JSON file.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Learn how wrong laws are from sweeps of your own: scales for `scalefit fit --discrepancy`."""
    import scalefit as sf
    from scalefit.laws import find_law
    from scalefit.model.discrepancy import write_discrepancy

    check_target(output, tables[0])
    columns = {"params": params, "tokens": tokens, "flops": flops, "loss": loss}
    studies = {Path(name).stem: read(name, None, **columns) for name in tables}
    if len(studies) < len(tables):
        raise sf.OptionError("two tables have one name; rename a file, so that studies can be told apart.")
    quiet = False if as_json else None
    learned = sf.learn_discrepancy(studies, sf.Model(find_law(law)), seed=seed, progress=quiet)
    if output:
        write_discrepancy(learned.discrepancy, output)
    if as_json:
        print_json(_document(learned))
        return
    _print(learned, output)


def _document(learned: "LearnedDiscrepancy") -> dict[str, Any]:
    from dataclasses import asdict

    from scalefit._tables import json_ready

    tables = {"summary": json_ready(learned.summary()), "by_study": json_ready(learned.by_study())}
    return {"discrepancy": asdict(learned.discrepancy), "chosen": dict(learned.chosen), **tables}


def _print(learned: "LearnedDiscrepancy", output: Path | None) -> None:
    out, table = console(), learned.summary()
    for what, title in (("loss", "ln loss of larger runs"), ("size", "ln N_opt at isoFLOP minima of larger runs")):
        rows = [[str(name), *(_cell(key, row[f"{what} {key}"]) for key in COLUMNS)] for name, row in table.iterrows()]
        out.print(grid(["scales", *COLUMNS.values()], rows, title=f"{title}; means over {len(learned.cases)} cases"))
    best = learned.discrepancy
    say(out, f"\nBest over all sweeps: {best}.")
    if len(learned.chosen) < 5:
        say(out, f"{len(learned.chosen)} sweeps tell little about others: a choice from so few may not hold elsewhere.")
    if output:
        out.print(f"The scales are in {output}: scalefit fit RUNS --discrepancy {output}")


def _cell(key: str, value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.0%}" if key in ("90", "50") else f"{value:.2f}" if key == "ratio" else f"{value:.4f}"
