"""`scalefit count`: parameters of a transformer by component, and its FLOP by every rule."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit.cli import _choices
from scalefit.cli._app import app
from scalefit.cli._options import Json
from scalefit.cli._show import console, print_grid, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from scalefit.counting import Shape


@app.command()
def count(
    name: Annotated[str | None, typer.Argument(help="A published shape; all are listed by default.")] = None,
    style: Annotated[
        _choices.Style, typer.Option(help="The kind of transformer, for a shape of your own.")
    ] = _choices.Style.LLAMA,
    layers: Annotated[int | None, typer.Option(help="Layers of a shape of your own.")] = None,
    width: Annotated[int | None, typer.Option(help="Width of its residual stream.")] = None,
    heads: Annotated[
        int | None, typer.Option(help="Attention heads; one for every 128 of the width by default.")
    ] = None,
    kv_heads: Annotated[int | None, typer.Option(help="llama: heads of keys and values, where fewer.")] = None,
    mlp: Annotated[int | None, typer.Option(help="llama: inner width; 8/3 of the width by default.")] = None,
    experts: Annotated[int | None, typer.Option(help="llama: MLPs a layer.")] = None,
    active_experts: Annotated[int | None, typer.Option(help="llama: MLPs that a token visits.")] = None,
    tied: Annotated[bool | None, typer.Option("--tied", help="llama: the output reads the embedding.")] = None,
    vocabulary: Annotated[int | None, typer.Option(help="Entries of its vocabulary.")] = None,
    context: Annotated[int | None, typer.Option(help="Tokens of a training sequence.")] = None,
    tokens: Annotated[
        str | None, typer.Option(metavar="D", help="Also the FLOP of training on so many, as in 15T.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Count parameters and FLOP of a transformer.

    Parameters by component, and FLOP by every published rule; a published shape, or one of your own.
    """
    from scalefit.errors import OptionError
    from scalefit.units import parse_quantity

    given = {"layers": layers, "width": width, "heads": heads, "kv_heads": kv_heads, "mlp": mlp, "experts": experts}
    given |= {"active_experts": active_experts, "tied": tied, "vocabulary": vocabulary, "context": context}
    given = {option: value for option, value in given.items() if value is not None}
    if name is None and not given:
        _list_shapes(as_json)
        return
    shape = _published(name, given) if name else _own(style.value, given)
    trained = None if tokens is None else parse_quantity(tokens)
    if trained is not None and not 0 < trained < float("inf"):
        raise OptionError(f"--tokens is a positive number, as in 15T; got {tokens}.")
    document = _document(name or f"a {style.value} shape", shape, trained)
    if as_json:
        print_json(document)
    else:
        _print(document)


def _published(name: str, given: dict[str, Any]) -> "Shape":
    from dataclasses import replace

    from scalefit.counting import architecture
    from scalefit.errors import OptionError

    if others := [option for option in given if option != "context"]:
        raise OptionError(f"{name} is published with its {others[0]}. Leave the name out for a shape of your own.")
    return replace(architecture(name), **given)


def _own(style: str, given: dict[str, Any]) -> "Shape":
    from inspect import signature

    from scalefit.counting import gopher, gpt, llama
    from scalefit.errors import OptionError

    styles: dict[str, Any] = {"llama": llama, "gpt": gpt, "gopher": gopher}
    make = styles[style]
    if not {"layers", "width"} <= set(given):
        raise OptionError("a shape of your own needs --layers and --width at least.")
    if foreign := set(given) - set(signature(make).parameters):
        raise OptionError(f"a {style} shape has no {', '.join(sorted(foreign))}. Leave it out, or use --style llama.")
    defaults: dict[str, Any] = {"heads": max(1, given["width"] // 128)}
    if style == "llama":
        defaults |= {"mlp": -(-8 * given["width"] // (3 * 256)) * 256, "vocabulary": 32000, "context": 4096}
    return make(**{**defaults, **given})


def _document(name: str, shape: "Shape", tokens: float | None) -> dict[str, Any]:
    from dataclasses import asdict

    from scalefit.counting import CONVENTIONS, RULES, flops_per_token

    per_token = {rule: flops_per_token(shape, rule) for rule in RULES}
    return {
        "name": name,
        "shape": asdict(shape),
        "components": {component: params for component, params in shape.components.items() if params},
        "params": {convention: shape.count(convention) for convention in CONVENTIONS},
        "flops_per_token": per_token,
        "tokens": tokens,
        "flops": None if tokens is None else {rule: flops * tokens for rule, flops in per_token.items()},
    }


def _print(document: dict[str, Any]) -> None:
    out, shape = console(), document["shape"]
    out.print(
        f"{document['name']}: {shape['layers']} layers of width {shape['width']}, {shape['heads']} heads "
        f"({shape['kv_heads']} of keys and values), MLP {shape['mlp']}, vocabulary {shape['vocabulary']}"
    )
    _print_parameters(out, document["components"], document["params"])
    _print_rules(out, document)


def _print_parameters(out: "Console", components: dict[str, int], params: dict[str, int]) -> None:
    """Components, then what each convention counts of them, with shares of the total."""
    rows = [
        [name.replace("_", "-"), f"{number:,}", f"{number / params['total']:.1%}"]
        for name, number in {**components, **params}.items()
    ]
    rows.insert(len(components), ["", "", ""])
    print_grid(out, ["component", "parameters", "share"], rows)


def _print_rules(out: "Console", document: dict[str, Any]) -> None:
    """FLOP by every rule, per token and on the tokens asked for."""
    from scalefit.counting import RULES, pf_days
    from scalefit.units import format_count, format_flops

    header, rows = ["rule", f"counted, in sequences of {document['shape']['context']:,} tokens", "FLOP per token"], []
    for rule, flops in document["flops_per_token"].items():
        rows.append([rule, RULES[rule].about, format_flops(flops, 4)])
    if document["tokens"] is not None:
        header += [f"FLOP on {format_count(document['tokens'])} tokens", "PF-days"]
        for row, flops in zip(rows, document["flops"].values(), strict=True):
            row += [format_flops(flops), f"{pf_days(flops):,.0f}" if pf_days(flops) >= 100 else f"{pf_days(flops):.3g}"]
    print_grid(out, header, rows, left=2)


def _list_shapes(as_json: bool) -> None:
    from scalefit.counting import ARCHITECTURES

    if as_json:
        print_json(
            [{**_document(name, entry.shape, None), "source": entry.source} for name, entry in ARCHITECTURES.items()]
        )
        return
    rows = [
        [name, entry.source, *(f"{number:,}" for number in _document(name, entry.shape, None)["params"].values())]
        for name, entry in ARCHITECTURES.items()
    ]
    print_grid(console(), ["shape", "source", "total", "non-embedding", "active"], rows, left=2)
