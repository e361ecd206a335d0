"""`scalefit downstream`: accuracy on a task at a loss that no model has reached yet."""

from pathlib import Path
from typing import Annotated, Any

import typer

from scalefit.cli._app import app
from scalefit.cli._options import Json, Prob, Seed
from scalefit.cli._show import cell_by_row, console, grid, print_json, rich_table, say
from scalefit.units import percent


@app.command()
def downstream(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="A .csv, .tsv or .parquet file, one row a model.")],
    loss: Annotated[str, typer.Option(metavar="COL", help="Column of the loss on the task, any unit.")],
    accuracy: Annotated[str, typer.Option(metavar="COL", help="Column of accuracies, shares.")],
    at: Annotated[list[float] | None, typer.Option(help="A task loss to predict accuracy at; may be repeated.")] = None,
    floor: Annotated[float, typer.Option(help="Accuracy of guessing.")] = 0.25,
    items: Annotated[int | None, typer.Option(help="Questions of the task; else the scatter is Normal.")] = None,
    form: Annotated[str, typer.Option(help="sigmoid, or error for an exponential of the error.")] = "sigmoid",
    seed: Seed = 0,
    prob: Prob = 0.9,
    as_json: Json = False,
) -> None:
    """Accuracy on a task from the loss on it, with intervals."""
    import scalefit as sf
    from scalefit._tables import json_ready
    from scalefit.downstream.pass_at_k import accuracy_table
    from scalefit.io.read import read_columns
    from scalefit.text.downstream import loss_caution

    columns = read_columns(table, (loss, accuracy))
    found = sf.fit_downstream(columns[loss], columns[accuracy], floor, items, form=form, seed=seed)
    summary, predicted = found.summary(prob), accuracy_table(found, at or [], prob)
    words = [loss_caution(value, found.loss) for value in at or []]
    if as_json:
        document: dict[str, Any] = {"equation": found.curve.form.equation, "models": len(found.loss), "prob": prob}
        document |= {"summary": json_ready(summary), "accuracy": json_ready(predicted), "cautions": words}
        print_json(document | {"health": found.health.verdict})
    else:
        out = console()
        say(out, f"{len(found.loss)} models of {table.name}; {found.curve.form.equation}\n")
        out.print(rich_table(summary, f"intervals {percent(prob)}", cell_by_row))
        say(out, str(found.health))
        if at:
            rows = [[str(row), *(f"{value:.1%}" for value in values)] for row, values in predicted.iterrows()]
            out.print(grid([str(predicted.index.name), *map(" ".join, predicted.columns)], rows))
        for sentence in filter(None, words):
            say(out, sentence)
    raise typer.Exit(1 if found.health.verdict == "fail" else 0)
