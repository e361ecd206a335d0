"""`scalefit compare runs`: which of two runs or budgets is better, and how sure that is."""

from typing import Annotated, Any

import typer

from scalefit.cli import _options as options
from scalefit.cli._app import compare
from scalefit.cli._decisions import compute_of, end, further_inputs, machines_of, show, show_json
from scalefit.cli._files import open_fit
from scalefit.errors import QuestionError


@compare.command("runs")
def compare_runs(
    a: Annotated[str, typer.Argument(metavar="A", help="A run 280B:300B, a published name, or a budget 1e23.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The same.")],
    fit: options.FitOption = None,
    fit_b: Annotated[
        str | None, typer.Option(metavar="FIT|RUNS", help="The fit to use for B; that of --fit by default.")
    ] = None,
    gain_a: Annotated[
        str, typer.Option(metavar="SHARE", help="A's recipe has a loss lower than the fit's by this, as in 2%.")
    ] = "0",
    gain_b: Annotated[str, typer.Option(metavar="SHARE", help="The same of B.")] = "0",
    accelerator: options.Accelerator = None,
    mfu: options.Mfu = None,
    price: options.Price = None,
    given: options.Inputs = None,
    six_nd: options.SixNd = False,
    law_only: options.LawOnly = False,
    prob: options.Prob = 0.9,
    as_json: options.Json = False,
) -> None:
    """Which of two runs or budgets has the lower loss."""
    import scalefit as sf
    from scalefit.text.plans import caution_about, run_comparison_paragraph

    machines = machines_of(accelerator, mfu, price)
    first = open_fit(fit, quiet=as_json)
    asked: Any = first if fit_b is None else (first, open_fit(fit_b, quiet=as_json))
    shared: dict[str, Any] = {"discrepancy": False if law_only else None, **further_inputs(given, first.model.law)}
    shared["cost"] = compute_of(first, None, None, None, six_nd)
    found = sf.compare_runs(asked, a, b, gains=(gain_a, gain_b), machines=machines, **shared)
    one, other = ((each.params, each.tokens, each.gain) for each in (found.a, found.b))
    if one == other and fit_b is None:
        raise QuestionError(f"A and B are the same run, {found.a.name}. Name two different runs.")
    caution = caution_about([(each.params, each.tokens) for each in (found.a, found.b)], found.assumptions)
    shown = caution, [run_comparison_paragraph(found, prob)], found.summary(prob)
    if as_json:
        chances = {name: getattr(found, name) for name in ("chance", "chance_one_run", "chance_of_speedup")}
        show_json({"a": vars(found.a), "b": vars(found.b), **chances}, *shown, found.assumptions, prob)
    else:
        show(*shown, f"A {found.a.name}, B {found.b.name}", found.assumptions, prob)
    end(found.assumptions.health)
