"""Arguments and options that commands share."""

from pathlib import Path
from typing import Annotated

import typer

RunsArgument = Annotated[str, typer.Argument(metavar="RUNS", help="A .csv, .tsv or .parquet file, or a shipped table.")]
FitArgument = Annotated[Path, typer.Argument(metavar="FIT", help="A file written by `scalefit fit RUNS -o FIT`.")]
Params = Annotated[str | None, typer.Option(metavar="COL", help="Column of parameters N.")]
Tokens = Annotated[str | None, typer.Option(metavar="COL", help="Column of training tokens D.")]
Flops = Annotated[str | None, typer.Option(metavar="COL", help="Column of compute C.")]
Loss = Annotated[str | None, typer.Option(metavar="COL", help="Column of loss, nats per token.")]
Outliers = Annotated[str | None, typer.Option(help="drop (the default) or keep: for shipped tables only.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same draws.")]
Prob = Annotated[float, typer.Option(help="Probability of every interval.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Family = Annotated[
    str | None, typer.Option(help="Name the shape to build, of gpt, llama-1, llama-2, llama-3, mixtral or chinchilla.")
]
Rule = Annotated[
    str | None, typer.Option(help="Count compute over the family's shapes by this rule, as in palm-causal; else 6 N D.")
]
Active = Annotated[
    str | None, typer.Option(help="Of a mixture whose N counts all experts: the share a token meets, as in 28%.")
]
Kind = Annotated[
    str | None,
    typer.Option(
        metavar="mean|form",
        help="Intervals hold the parameters' uncertainty (mean), or the law's own error too (form: beyond the data).",
    ),
]
