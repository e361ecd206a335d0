"""What the commands that ask a fit share: machines, costs, a law's further inputs, and the way answers are shown."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import typer

from scalefit.cli._show import console, health_json, print_json, print_quantities, say

if TYPE_CHECKING:
    from scalefit.costs.cost import Compute
    from scalefit.costs.machines import Machines
    from scalefit.diagnostics.checks import Health
    from scalefit.fits.fit import Fit
    from scalefit.laws import Law
    from scalefit.planning.assumptions import Assumptions


def machines_of(accelerator: str | None, mfu: str | None, price: str | None) -> "Machines":
    """The machines asked for."""
    from scalefit.costs.machines import Machines

    return Machines.read(accelerator, mfu, price)


def compute_of(
    fit: "Fit", family: str | None, rule: str | None, active: str | None, six_nd: bool = False
) -> "Compute | None":
    """How training compute is counted: 6 N D, of the active share, or over a family's shapes by a rule.

    None is as the fit's table shows it.
    """
    import scalefit as sf
    from scalefit.costs.machines import parse_share

    if rule is None:
        if active:
            return sf.costs.SixND(parse_share(active))
        return sf.costs.SixND() if six_nd else None
    if active or six_nd or not family:
        raise sf.OptionError(
            "--flop-rule counts over the shapes of a family. Give --family, and leave --active and --six-nd out."
        )
    return sf.costs.Counted.of(family, rule, fit.runs.convention or "total")


def further_inputs(given: list[str] | None, law: "Law") -> dict[str, float]:
    """The law's inputs beyond params and tokens that --set gives, by name."""
    from scalefit._registry import lookup
    from scalefit.errors import OptionError
    from scalefit.units import parse_quantity

    known = {name: name for name in law.inputs if name not in ("params", "tokens")}
    found = {}
    for text in given or []:
        name, _, value = text.partition("=")
        if not value:
            raise OptionError(f"--set is a name and a value, as in unique_tokens=25e9; {text!r} is not.")
        if not known:
            raise OptionError(f"the {law.name} law has no further inputs. Leave --set out.")
        number = found[lookup(name.strip(), known, f"further input of the {law.name} law")] = parse_quantity(value)
        if not 0 < number < float("inf"):
            raise OptionError(f"--set {name} is a positive number, as in {name}=25e9; got {value}.")
    return found


def show(
    caution: str,
    words: list[str],
    table: Any,
    title: str,
    assumptions: "Assumptions",
    prob: float,
    units: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Print the caution first, then the answer, its numbers, and what they rest on."""
    from scalefit._quantities import loss_units
    from scalefit.fits.fit import posterior_name
    from scalefit.text.plans import assumptions_sentence
    from scalefit.units import percent

    out = console()
    for paragraph in filter(None, [caution, *words]):
        say(out, f"{paragraph}\n")
    included = posterior_name(assumptions.discrepancy)
    units = {**loss_units(assumptions.loss_unit), **units}
    print_quantities(out, table, f"{title}; intervals {percent(prob)}, {included}", units)
    say(out, assumptions_sentence(assumptions, prob))


def show_json(
    document: dict[str, Any], caution: str, words: list[str], table: Any, assumptions: "Assumptions", prob: float
) -> None:
    """Print the same as one document."""
    from scalefit._tables import json_ready

    shared = shared_json(caution, " ".join(filter(None, words)), assumptions, prob)
    print_json({**document, **shared, "summary": json_ready(table)})


def shared_json(caution: str, words: str | list[str], assumptions: "Assumptions", prob: float) -> dict[str, Any]:
    """What the documents of all answers have in common."""
    from scalefit.text.plans import assumptions_sentence

    return {
        "prob": prob,
        "discrepancy": assumptions.discrepancy,
        "loss_unit": assumptions.loss_unit,
        "caution": caution,
        "words": words,
        "health": health_json(assumptions.health),
        "assumptions": assumptions_sentence(assumptions, prob),
    }


def end(health: "Health") -> None:
    """End with the exit status of a fit's health."""
    if health.verdict == "fail":
        raise typer.Exit(1)
