"""What the commands that decide share: options for machines, a fit to ask, and the way answers are shown."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit.cli._show import cell_by_row, console, health_json, print_json, rich_table, say
from scalefit.units import percent

if TYPE_CHECKING:
    from scalefit.costs.cost import Compute
    from scalefit.fits.fit import Fit
    from scalefit.planning import Machines
    from scalefit.planning.assumptions import Assumptions

Accelerator = Annotated[
    str | None, typer.Option(metavar="NAME", help="H100, '512 H100', TPU-v5p, or a peak in FLOP/s, as in 989e12.")
]
Mfu = Annotated[str | None, typer.Option(help="Share of the peak that is reached, as in 40%.")]
Price = Annotated[str | None, typer.Option(metavar="$", help="Of one accelerator for one hour, as in 2.")]
FitOption = Annotated[
    Path | None, typer.Option("--fit", metavar="FIT", help="The shipped Chinchilla runs, fitted now, by default.")
]
Served = Annotated[str, typer.Option(help="Tokens of inference in the model's life: 2T, or 1T..10T (90%).")]


def machines_of(accelerator: str | None, mfu: str | None, price: str | None) -> "Machines":
    """The machines asked for."""
    from scalefit.planning import Machines

    return Machines.read(accelerator, mfu, price)


def compute_of(fit: "Fit", family: str | None, rule: str | None, active: str | None) -> "Compute":
    """How training compute is counted: 6 N D, of the active share, or over a family's shapes by a rule."""
    import scalefit as sf
    from scalefit.costs.machines import parse_share

    if rule is None:
        return sf.costs.SixND(parse_share(active)) if active else sf.costs.SixND()
    if active or not family:
        raise sf.OptionError("--rule counts over the shapes of a --family, which knows its active experts itself.")
    return sf.costs.Counted.of(family, rule, fit.runs.convention or "total")


def fit_to_ask(path: Path | None, quiet: bool) -> "Fit":
    """The fit at `path`, or one of the shipped Chinchilla runs, which is said."""
    import sys

    import scalefit as sf

    if path is not None:
        return sf.load(path)
    if not quiet:
        print("note: no --fit given, so the 240 shipped Chinchilla runs are fitted and asked", file=sys.stderr)
    return sf.fit(sf.datasets.load("chinchilla"), progress=False)


def show(
    caution: str,
    words: list[str],
    table: Any,
    title: str,
    basis: "Assumptions",
    prob: float,
    cell: Callable[[str, str, float], str] = cell_by_row,
) -> None:
    """Caution first, then the answer, its numbers, and what they rest on."""
    from scalefit.text.plans import assumptions_sentence

    out = console()
    for paragraph in filter(None, [caution, *words]):
        say(out, f"{paragraph}\n")
    out.print(rich_table(table, f"{title}; intervals {percent(prob)}", cell))
    say(out, assumptions_sentence(basis, prob))


def show_json(
    document: dict[str, Any], caution: str, words: list[str], table: Any, basis: "Assumptions", prob: float
) -> None:
    """The same as one document."""
    from scalefit._tables import json_ready
    from scalefit.text.plans import assumptions_sentence

    shared: dict[str, Any] = {"prob": prob, "caution": caution, "words": " ".join(filter(None, words))}
    shared |= {"health": health_json(basis.health), "basis": assumptions_sentence(basis, prob)}
    print_json({**document, **shared, "summary": json_ready(table)})
