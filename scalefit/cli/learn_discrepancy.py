"""`scalefit learn-discrepancy`: the scales of the discrepancy, learned from sweeps of one's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit import _interrupt
from scalefit.cli import _options as options
from scalefit.cli._app import app
from scalefit.cli._files import check_target, read, say_notes
from scalefit.cli._show import console, number, print_grid, print_json, say

if TYPE_CHECKING:
    from scalefit.validation import LearnedDiscrepancy


COLUMNS = {"90": "90% coverage", "50": "50% coverage", "crps": "CRPS", "ratio": "over law only", "mae": "median error"}


@app.command()
def learn_discrepancy(
    tables: Annotated[list[str], typer.Argument(metavar="RUNS", help="Sweeps: files or shipped tables, one each.")],
    params: options.Params = None,
    tokens: options.Tokens = None,
    flops: options.Flops = None,
    loss: options.Loss = None,
    loss_unit: options.LossUnit = None,
    format: options.Format = None,
    history: options.History = None,
    keep_unfinished: options.KeepUnfinished = False,
    law: options.LawName = "chinchilla",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the scales to this JSON file.")
    ] = None,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Learn the scales of the discrepancy from sweeps.

    Candidates are scored on how well larger runs of each sweep are predicted from smaller ones; `scalefit fit
    --discrepancy` reads the best.
    """
    import scalefit as sf
    from scalefit.laws import find_law
    from scalefit.model.discrepancy import write_discrepancy

    check_target(output, tables[0])
    columns = {"params": params, "tokens": tokens, "flops": flops, "loss": loss, "unit": loss_unit}
    how = {"format": format, "history": history, "keep_unfinished": keep_unfinished}
    studies = {Path(name).stem: read(name, None, **how, **columns) for name in tables}
    for study in studies.values():
        say_notes(study, as_json)
    if len(studies) < len(tables):
        raise sf.OptionError("two tables have one name. Rename a file, so that sweeps differ in name.")
    quiet = False if as_json else None
    learned = sf.learn_discrepancy(studies, sf.Model(find_law(law)), seed=seed, progress=quiet)
    if output:
        write_discrepancy(learned.discrepancy, output)
        _interrupt.written.append(output)
    if as_json:
        print_json(_document(learned))
    else:
        _print(learned, output)


def _document(learned: "LearnedDiscrepancy") -> dict[str, Any]:
    from dataclasses import asdict

    from scalefit._tables import json_ready

    tables = {"summary": json_ready(learned.summary()), "by_study": json_ready(learned.by_study())}
    return {"discrepancy": asdict(learned.discrepancy), "chosen": dict(learned.chosen), **tables}


def _print(learned: "LearnedDiscrepancy", output: Path | None) -> None:
    from scalefit.text.commands import few_sweeps_sentence, scales_sentence

    out, table = console(), learned.summary()
    for what, title in (("loss", "ln loss of larger runs"), ("size", "ln N_opt at isoFLOP minima of larger runs")):
        rows = [[str(name), *(_cell(key, row[f"{what} {key}"]) for key in COLUMNS)] for name, row in table.iterrows()]
        print_grid(out, ["scales", *COLUMNS.values()], rows, f"{title}; means over {len(learned.cases)} cases")
    say(out, f"\nBest over all sweeps: {learned.discrepancy}.")
    if few := few_sweeps_sentence(len(learned.chosen)):
        say(out, few)
    if output:
        say(out, scales_sentence(output))


def _cell(key: str, value: float) -> str:
    form = {"90": ".0%", "50": ".0%", "ratio": ".2f"}.get(key, ".4f")
    return number(value, lambda known: format(known, form))
