"""`scalefit downstream`: accuracy on a task at a loss that no model has reached yet."""

from pathlib import Path
from typing import Annotated, Any

import typer

from scalefit.cli import _choices
from scalefit.cli import _options as options
from scalefit.cli._app import app
from scalefit.cli._decisions import end
from scalefit.cli._show import console, health_json, print_grid, print_json, print_quantities, say


@app.command()
def downstream(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="A table in a file, one row a model.")],
    loss: Annotated[str, typer.Option(metavar="COL", help="Column of the loss on the task, any unit.")],
    accuracy: Annotated[str, typer.Option(metavar="COL", help="Column of accuracies, shares.")],
    at: Annotated[
        list[float] | None, typer.Option(metavar="LOSS", help="A task loss to predict accuracy at; repeat.")
    ] = None,
    floor: Annotated[float, typer.Option(help="Accuracy of guessing.")] = 0.25,
    items: Annotated[int | None, typer.Option(help="Questions of the task; else the scatter is Normal.")] = None,
    link: Annotated[
        _choices.Link, typer.Option(help="The curve: a sigmoid, or an exponential of the error.")
    ] = _choices.Link.SIGMOID,
    seed: options.Seed = 0,
    prob: options.Prob = 0.9,
    as_json: options.Json = False,
) -> None:
    """Accuracy on a task from the loss on it."""
    import scalefit as sf
    from scalefit._tables import json_ready
    from scalefit.io.read import read_columns
    from scalefit.text.downstream import loss_caution
    from scalefit.units import percent

    columns = read_columns(table, (loss, accuracy))
    found = sf.fit_downstream(columns[loss], columns[accuracy], floor, items, link=link.value, seed=seed)
    summary, predicted = found.summary(prob), found.accuracy_summary(at or [], prob)
    cautions = [caution for value in at or [] if (caution := loss_caution(value, found.loss))]
    equation = found.curve.link.equation
    if as_json:
        document: dict[str, Any] = {"equation": equation, "models": len(found.loss), "prob": prob}
        document |= {"summary": json_ready(summary), "accuracy": json_ready(predicted), "cautions": cautions}
        print_json(document | {"health": health_json(found.health)})
    else:
        out = console()
        say(out, f"{len(found.loss)} models of {table.name}; {equation}\n")
        print_quantities(out, summary.drop(columns="mcse_median"), f"intervals {percent(prob)}")
        say(out, str(found.health))
        if at:
            rows = [[str(row), *(f"{value:.1%}" for value in values)] for row, values in predicted.iterrows()]
            print_grid(out, [str(predicted.index.name), *map(" ".join, predicted.columns)], rows)
        for sentence in cautions:
            say(out, sentence)
    end(found.health)
