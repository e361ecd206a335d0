"""Arguments and options that commands share."""

from pathlib import Path
from typing import Annotated

import typer

from scalefit.cli import _choices
from scalefit.errors import OptionError


def _seed(value: int) -> int:
    if not 0 <= value < 2**63:
        raise OptionError(f"--seed is a whole number from 0 to 2^63 - 1; got {value}.")
    return value


def _laws(incomplete: str) -> list[str]:
    return [name for name in _choices.LAWS if name.startswith(incomplete)]


RunsArgument = Annotated[
    str, typer.Argument(metavar="RUNS", help="A table: a file, a folder, a pattern in quotes, or a shipped table.")
]
Format = Annotated[
    _choices.Format | None,
    typer.Option(metavar="NAME", help=f"Format of the files, else by content: {', '.join(_choices.Format)}."),
]
History = Annotated[
    _choices.History | None,
    typer.Option(help="Of a log: each run's last loss (the default), its minimum, or all rows."),
]
KeepUnfinished = Annotated[
    bool, typer.Option("--keep-unfinished", help="Keep runs that have a loss but have not finished.")
]
FitArgument = Annotated[
    str, typer.Argument(metavar="FIT|RUNS", help="A file of `scalefit fit RUNS -o FIT`, or a table to fit first.")
]
FitOption = Annotated[
    str | None,
    typer.Option("--fit", metavar="FIT|RUNS", help="The fit to use; that of the shipped Chinchilla runs by default."),
]
Params = Annotated[str | None, typer.Option(metavar="COL", help="Column of parameters N.")]
Tokens = Annotated[str | None, typer.Option(metavar="COL", help="Column of training tokens D.")]
Flops = Annotated[str | None, typer.Option(metavar="COL", help="Column of compute C.")]
Loss = Annotated[str | None, typer.Option(metavar="COL", help="Column of loss.")]
LossUnit = Annotated[
    str | None, typer.Option(metavar="UNIT", help="Unit of the loss: nats, bpb, error, any name; else the column's.")
]
Cluster = Annotated[
    list[str] | None,
    typer.Option(metavar="COL", help="Runs with the same value here share an error, as in run_id; repeat for several."),
]
Weight = Annotated[
    str | None, typer.Option(metavar="COL", help="Column of known precisions: a run's noise is sigma^2 over it.")
]
Sd = Annotated[
    str | None, typer.Option(metavar="COL", help="Column of known measurement errors of the loss, in its unit.")
]
BytesPerToken = Annotated[
    float | None, typer.Option(metavar="B", help="Convert bits per byte to nats per token, as with 4.3.")
]
Outliers = Annotated[
    _choices.Outliers | None,
    typer.Option(
        help="show: list the runs furthest off (`scalefit fit`); drop (the default), keep: those of a shipped table."
    ),
]
LawName = Annotated[
    str, typer.Option(metavar="LAW", help="A law, as `scalefit laws` lists them.", autocompletion=_laws)
]
Seed = Annotated[int, typer.Option(callback=_seed, help="The same seed gives the same draws.")]
Prob = Annotated[float, typer.Option(help="Probability of every interval.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document; `scalefit schema` describes it.")]
LawOnly = Annotated[bool, typer.Option("--law-only", help="Leave the discrepancy out of every answer.")]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A further input of the law, as in unique_tokens=25e9; repeat."),
]
Family = Annotated[_choices.Family | None, typer.Option(help="Name the shape of this family to build.")]
FlopRule = Annotated[
    _choices.FlopRule | None, typer.Option(help="Count compute over the family's shapes by this rule, not as 6 N D.")
]
Active = Annotated[
    str | None, typer.Option(help="If N counts all experts: the share that a token passes through, as in 28%.")
]
SixNd = Annotated[
    bool, typer.Option("--six-nd", help="Count compute as 6 N D, whatever compute the table has measured.")
]
MaxParams = Annotated[str | None, typer.Option(metavar="N", help="A cap, for memory or latency, as in 7B.")]
Accelerator = Annotated[
    str | None, typer.Option(metavar="NAME", help="H100, '512 H100', TPU-v5p, or a peak in FLOP/s, as in 989e12.")
]
Mfu = Annotated[str | None, typer.Option(metavar="SHARE", help="Share of the peak that is reached, as in 40%.")]
Price = Annotated[str | None, typer.Option(metavar="$", help="Of one accelerator for one hour, as in 2.")]
Served = Annotated[
    str, typer.Option(metavar="T", help="Tokens of inference in the model's life: 2T, or 1T..10T (90%).")
]
Plot = Annotated[Path | None, typer.Option(metavar="FILE", help="Also draw a picture: .png, .pdf or .svg.")]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the fit to this netCDF file.")
]
