"""`scalefit versus`: which of two runs, budgets or recipes is better, and how sure that is."""

from pathlib import Path
from typing import Annotated

import typer

from scalefit.cli._app import app
from scalefit.cli._decisions import Accelerator, FitOption, Mfu, Price, fit_to_ask, machines_of, show, show_json
from scalefit.cli._options import Json, Kind, Prob


@app.command()
def compare_runs(
    a: Annotated[
        str, typer.Argument(metavar="A", help="A run 280B:300B, a published name, a budget; or a fit, if B is one.")
    ],
    b: Annotated[
        str, typer.Argument(metavar="B", help="The same; ' - 2%' after a run or budget: a recipe with 2% less loss.")
    ],
    fit: FitOption = None,
    budget: Annotated[str | None, typer.Option(help="Where two fits are compared, FLOP or as in `plan`.")] = None,
    accelerator: Accelerator = None,
    mfu: Mfu = None,
    price: Price = None,
    kind: Kind = None,
    prob: Prob = 0.9,
    as_json: Json = False,
) -> None:
    """Which of two runs, budgets or recipes is better, and how sure that is."""
    import scalefit as sf
    from scalefit.text.plans import caution_about, run_comparison_paragraph

    _check_fits(a, b)
    machines = machines_of(accelerator, mfu, price)
    if Path(a).is_file() and Path(b).is_file():
        found = sf.compare_runs(sf.load(a), sf.load(b), budget=budget, machines=machines, kind=kind)
    else:
        found = sf.compare_runs(a, b, fit=fit_to_ask(fit, quiet=as_json), machines=machines, kind=kind)
    beyond = caution_about([(each.params, each.tokens) for each in (found.a, found.b)], found.assumptions)
    shown = beyond, [run_comparison_paragraph(found, prob)], found.summary(prob)
    if as_json:
        chances = {name: getattr(found, name) for name in ("chance", "chance_one_run", "chance_of_speedup")}
        show_json({"a": vars(found.a), "b": vars(found.b), **chances}, *shown, found.assumptions, prob)
        return
    show(*shown, f"A {found.a.name}, B {found.b.name}", found.assumptions, prob)


def _check_fits(a: str, b: str) -> None:
    """Raise `QuestionError` where a fit's file is compared with anything but another, as it is."""
    from scalefit.errors import QuestionError

    files = [Path(each).is_file() or Path(each.rpartition(" - ")[0].rstrip()).is_file() for each in (a, b)]
    if any(files) and not (Path(a).is_file() and Path(b).is_file()):
        raise QuestionError(
            "a fit is compared with another fit at a --budget; hold recipes and budgets against each other under one "
            "--fit, as in 1e23 '1e23 - 2%' --fit FIT."
        )
