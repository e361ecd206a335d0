"""The command line: each command a few lines over the public API.

Exit status: 0 done, 1 the fit's health verdict is "fail" (results are still written), 2 bad input or usage.
"""

import json
import math
import os
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit.errors import DataWarning, ScalefitError
from scalefit.units import percent

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from scalefit.fitted import Fit
    from scalefit.runs import Runs

app = typer.Typer(
    name="scalefit",
    help="Bayesian scaling laws: how big the model, how much data, what loss, and how wrong that could be.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

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


@app.command()
def fit(
    runs: RunsArgument,
    law: Annotated[str, typer.Option(help="See `scalefit laws`.")] = "chinchilla",
    noise: Annotated[str, typer.Option(help="student-t or normal, on ln loss.")] = "student-t",
    engine: Annotated[str, typer.Option(help="auto, ais, hmc, nuts, map, huber, vpnls, bootstrap ...")] = "auto",
    params: Params = None,
    tokens: Tokens = None,
    flops: Flops = None,
    loss: Loss = None,
    outliers: Outliers = None,
    budget: Annotated[str | None, typer.Option(help="Also say the optimum here, FLOP: 5.76e23 or a list.")] = None,
    prob: Prob = 0.9,
    seed: Seed = 0,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the fit to this netCDF file.")] = None,
    as_json: Json = False,
) -> None:
    """Fit a scaling law to a table of training runs, and say what it means."""
    import numpy as np

    import scalefit as sf
    from scalefit._numerics import check_prob
    from scalefit.infer import find_engine
    from scalefit.laws import find_law
    from scalefit.noise import find_noise
    from scalefit.units import parse_budgets

    check_prob(prob)
    asked = parse_budgets(budget) if budget else np.array([])
    _check_target(output, runs)
    table = _read(runs, outliers, params=params, tokens=tokens, flops=flops, loss=loss)
    model = sf.Model(find_law(law), find_noise(noise))
    fitted = sf.fit(table, model, engine=find_engine(engine), seed=seed, progress=False if as_json else None)
    budgets = [fitted.compute_range[1], *asked]
    if as_json:
        _print_json(_fit_document(fitted, prob, budgets, output))
    else:
        _print_fit(fitted, prob, budgets, output)
    if output:
        fitted.save(output)
    if fitted.health.verdict == "fail":
        raise typer.Exit(1)


@app.command()
def plan(
    fit: FitArgument,
    budget: Annotated[str, typer.Option(help="Training compute, FLOP, as in 5.76e23.")],
    prob: Prob = 0.9,
    as_json: Json = False,
) -> None:
    """The allocation of a budget that minimises expected loss, and the price of being wrong."""
    import scalefit as sf
    from scalefit.tables import json_ready
    from scalefit.wording import caution, plan_paragraph

    answer = sf.plan(sf.load(fit), budget)
    table = answer.summary(prob)
    if as_json:
        single = {name: getattr(answer, name) for name in ("budget", "params", "tokens", "tokens_per_param", "loss")}
        single |= {name: getattr(answer, name) for name in ("regret", "wasted_compute", "times_beyond")}
        near = dict(zip(("lower", "upper"), answer.near_optimal, strict=True))
        words = caution(answer.budget, answer.compute_range)
        _print_json(
            {**single, "near_optimal_params": near, "prob": prob, "caution": words, "summary": json_ready(table)}
        )
        return
    out = _console()
    if words := caution(answer.budget, answer.compute_range):
        _say(out, f"{words}\n")
    _say(out, f"{plan_paragraph(answer, prob)}\n")
    out.print(_rich(table, f"plan at {budget} FLOP; intervals {percent(prob)}", _cell_by_row))


@app.command()
def frontier(
    fit: FitArgument,
    budgets: Annotated[str, typer.Option(help="FLOP: a list 1e21,1e22 or lowest:highest:how_many.")] = "",
    prob: Prob = 0.9,
    plot: Annotated[Path | None, typer.Option(help="Also draw the frontier to this .png, .pdf or .svg.")] = None,
    as_json: Json = False,
) -> None:
    """The compute-optimal parameters, tokens and loss at each budget."""
    import numpy as np

    import scalefit as sf
    from scalefit.tables import json_ready
    from scalefit.units import parse_budgets
    from scalefit.wording import caution

    _check_target(plot, str(fit))
    fitted = sf.load(fit)
    smallest, largest = fitted.compute_range
    wanted = parse_budgets(budgets) if budgets else np.geomspace(smallest, 10 * largest, 9)
    front = fitted.frontier(wanted)
    table, words = front.summary(prob), caution(wanted.max(), fitted.compute_range)
    if plot:
        _draw_frontier(fitted, wanted, prob, plot)
    if as_json:
        rows = [{"flops": float(flops), **row} for flops, row in zip(wanted, json_ready(table).values(), strict=True)]
        _print_json({"prob": prob, "largest_run": largest, "caution": words, "frontier": rows})
        return
    out = _console()
    out.print(_frontier_table(front, prob))
    if words:
        _say(out, f"\n{words}")


@app.command()
def compare(
    runs: RunsArgument,
    params: Params = None,
    tokens: Tokens = None,
    flops: Flops = None,
    loss: Loss = None,
    outliers: Outliers = None,
    budget: Annotated[str | None, typer.Option(help="FLOP; the largest run's by default.")] = None,
    prob: Prob = 0.9,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """The posterior beside every point-estimate fit, at one budget."""
    import scalefit as sf
    from scalefit._numerics import check_prob
    from scalefit.tables import json_ready
    from scalefit.units import format_flops
    from scalefit.wording import caution

    check_prob(prob)
    table = _read(runs, outliers, params=params, tokens=tokens, flops=flops, loss=loss)
    found = sf.compare_methods(table, budget=budget, seed=seed, progress=False if as_json else None)
    words = caution(found.budget, (table.flops.min(), table.flops.max()))
    if as_json:
        rows = json_ready(found.summary(prob))
        _print_json({"budget": found.budget, "prob": prob, "caution": words, "methods": rows})
        return
    out = _console()
    if words:
        out.print(f"{words}\n")
    out.print(
        _comparison_grid(found, prob, f"at {format_flops(found.budget)} FLOP; median and {percent(prob)} interval")
    )
    for name, entry in found.entries.items():
        if entry.failure:
            out.print(f"{name}: {entry.failure}")


@app.command()
def backtest(
    runs: RunsArgument,
    above: Annotated[str, typer.Option(help="Train up to this compute, FLOP, predict the larger runs; or a list.")],
    params: Params = None,
    tokens: Tokens = None,
    flops: Flops = None,
    loss: Loss = None,
    outliers: Outliers = None,
    seed: Seed = 0,
    plot: Annotated[Path | None, typer.Option(help="Also draw promised against found coverage here.")] = None,
    as_json: Json = False,
) -> None:
    """Train on the smaller runs, predict the larger ones, and say what the intervals were worth."""
    import scalefit as sf
    from scalefit import plots
    from scalefit.tables import json_ready
    from scalefit.units import parse_budgets
    from scalefit.wording import coverage_sentence

    _check_target(plot, runs)
    table = _read(runs, outliers, params=params, tokens=tokens, flops=flops, loss=loss)
    cuts = sf.above_compute(parse_budgets(above))
    found = sf.backtest(table, holdout=cuts, seed=seed, progress=False if as_json else None)
    if plot:
        plots.save(plots.calibration(found), plot)
    if as_json:
        tables = {"summary": found.summary(), "by_distance": found.by_distance(), "drift": found.drift_summary()}
        failures = [{"split": split, "method": name, "why": why} for (split, name), why in found.failures.items()]
        documents = {name: json_ready(value) for name, value in tables.items()}
        _print_json({"words": coverage_sentence(found), **documents, "target": found.target, "failures": failures})
        return
    _print_backtest(found)


@app.command()
def data(
    name: Annotated[str | None, typer.Argument(help="A shipped table; all of them by default.")] = None,
    as_json: Json = False,
) -> None:
    """The tables that come with scalefit, and where their figures are from."""
    from scalefit import datasets

    wanted = [entry for entry in datasets.CATALOGUE if name in (None, entry.name)]
    if not wanted:
        datasets.path(name or "")  # raises the sentence that lists the names
    if as_json:
        _print_json([{**vars(entry), "path": str(datasets.path(entry.name))} for entry in wanted])
        return
    out = _console()
    for entry in wanted:
        out.print(f"{entry.name}: {entry.about}\n  source   {entry.source}\n  licence  {entry.licence}")
        out.print(f"  file     {datasets.path(entry.name)}\n", soft_wrap=True)


@app.command()
def devices(as_json: Json = False) -> None:
    """What will be computed on, in which precision, and where compiled programs are kept."""
    from dataclasses import asdict

    import scalefit as sf

    found, kept = sf.devices(), os.environ["JAX_COMPILATION_CACHE_DIR"]
    if as_json:
        _print_json({**asdict(found), "compiled_programs": kept})
        return
    out = _console()
    _say(out, f"{found}.")
    _say(out, f"Compiled programs are kept in {kept}.")
    if found.platform == "cpu":
        _say(out, "For an NVIDIA GPU: pip install 'scalefit[cuda]'; for a TPU: pip install 'scalefit[tpu]'.")


@app.command()
def laws(as_json: Json = False) -> None:
    """The scaling laws, with parameters, priors and published constants."""
    from scalefit.laws import Law, find_law

    documents = [_law_document(find_law(name)) for name in sorted(Law.registry)]
    if as_json:
        _print_json(documents)
        return
    out = _console()
    for law in documents:
        out.print(f"{law['name']}: {law['equation']}   inputs {', '.join(law['inputs'])}")
        rows = [[p["name"], p["prior"], p["unit"], p["meaning"]] for p in law["params"]]
        out.print(_grid(["parameter", "prior", "raw unit", "meaning"], rows, left=4))
        out.print("Priors hold where inputs and loss are measured in units of the table's geometric means.")
        for published in law["published"]:
            values = ", ".join(f"{name} {value:g}" for name, value in published["values"].items())
            out.print(f"  {published['source']}: {values}")
        out.print()


def main() -> None:
    """Run the command line: one sentence on standard error instead of a traceback."""
    _use_compilation_cache()
    warnings.showwarning = _show_warning
    try:
        app()
    except ScalefitError as problem:
        print(f"scalefit: {problem}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("scalefit: interrupted; nothing was written.", file=sys.stderr)
        sys.exit(130)
    except Exception as problem:
        if os.environ.get("SCALEFIT_TRACEBACK"):
            raise
        words = f"{type(problem).__name__}: {problem}".splitlines()[0]
        print(f"scalefit: unexpected {words}; please report it with SCALEFIT_TRACEBACK=1 set.", file=sys.stderr)
        sys.exit(2)


def _use_compilation_cache() -> None:
    """Keep compiled programs between calls: compilation is most of a single fit. The user's own setting wins."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(home / "scalefit"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, DataWarning):
        print(f"note: {message}", file=sys.stderr)


def _read(runs: str, outliers: str | None, **mapping: str | None) -> "Runs":
    """A file of that name if there is one, else a shipped table."""
    import scalefit as sf

    columns = {name: column for name, column in mapping.items() if column}
    is_file = Path(runs).is_file() or bool(Path(runs).suffix)
    if is_file and outliers:
        raise ScalefitError(f"--outliers is for shipped tables; leave rows out of {runs} itself.")
    if is_file:
        return sf.read_runs(runs, **columns)
    return sf.datasets.load(runs, outliers or "drop", **columns)  # type: ignore[arg-type]


def _check_target(path: Path | None, source: str) -> None:
    """Refuse before the work what would fail after it, or would overwrite what is being read."""
    if path is None:
        return
    if not path.absolute().parent.is_dir():
        raise ScalefitError(f"cannot write {path}: there is no folder {path.parent}; make it first.")
    if path.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise ScalefitError(f"cannot write {path}: it is a folder, or its folder is read-only; name a file elsewhere.")
    if path.exists() and Path(source).exists() and path.samefile(source):
        raise ScalefitError(f"{path} is what is being read; write to another file.")


def _fit_document(fitted: "Fit", prob: float, budgets: list[float], output: Path | None) -> dict[str, Any]:
    from scalefit.tables import json_ready
    from scalefit.wording import fit_paragraph

    return {
        "table": fitted.runs.name,
        "runs": len(fitted.runs),
        "notes": list(fitted.runs.notes),
        "fingerprint": fitted.runs.fingerprint,
        "law": fitted.model.law.name,
        "noise": fitted.model.noise.name,
        "kind": fitted.kind,
        "engine": fitted.engine,
        "seed": fitted.seed,
        "versions": fitted.versions,
        "prob": prob,
        "summary": json_ready(fitted.summary(prob, budgets)),
        "health": {"verdict": fitted.health.verdict, "checks": [vars(check) for check in fitted.health.checks]},
        "words": fit_paragraph(fitted.frontier(budgets), prob),
        "output": str(output) if output else None,
    }


def _print_fit(fitted: "Fit", prob: float, budgets: list[float], output: Path | None) -> None:
    from scalefit.wording import fit_paragraph

    out = _console()
    out.print(fitted.runs.describe(), soft_wrap=True)
    for note in fitted.runs.notes:
        out.print(f"note: {note}")
    title = f"{fitted.model.law.equation}; {fitted.model.noise.name} noise on ln loss; intervals {percent(prob)}"
    table = fitted.summary(prob, budgets).drop(columns="mcse_median")
    out.print(_rich(table, title, _cell_by_row))
    _say(out, f"health: {fitted.health.verdict}" + "".join(f"\n  {words}" for words in fitted.health.cautions))
    _say(out, f"\n{fit_paragraph(fitted.frontier(budgets), prob)}")
    if output:
        out.print(f"The fit goes to {output}.")


def _comparison_grid(found: Any, prob: float, title: str) -> Any:
    """One row a method: the quantities a planner compares, each with its interval."""
    from scalefit._numerics import interval
    from scalefit.units import format_count

    forms = {
        "E": "{:.3f}",
        "alpha": "{:.3f}",
        "beta": "{:.3f}",
        "a": "{:.3f}",
        "tokens_per_param": "{:.1f}",
        "loss": "{:.3f}",
    }

    def cell(entry: Any, name: str) -> str:
        if name not in entry.draws:
            return "–"
        form = format_count if name == "N_opt" else forms[name].format
        middle, low, high = interval(entry.draws[name], prob)
        return form(middle) if math.isnan(low) else f"{form(middle)}\n[{form(low)}, {form(high)}]"

    columns = ["E", "alpha", "beta", "a", "N_opt", "tokens_per_param", "loss"]
    rows = [
        [name, *(cell(entry, column) for column in columns), entry.kind, f"{entry.seconds:.1f}"]
        for name, entry in found.entries.items()
    ]
    return _grid(["method", *columns, "kind", "seconds"], rows, title=title)


def _print_backtest(found: Any) -> None:
    from scalefit.units import format_flops
    from scalefit.wording import coverage_sentence

    out = _console()
    _say(out, f"{coverage_sentence(found)}\n")
    table = found.summary()
    names = ["bias", "mae", "crps", "log_score", "cover_mean_90", "cover_run_50", "cover_run_90"]
    rows = [
        [method, f"{row['runs']:.0f}"]
        + ["–" if math.isnan(row[n]) else f"{row[n]:.2g} ± {row[f'{n}_se']:.1g}" for n in names]
        for method, row in table.iterrows()
    ]
    out.print(
        _grid(["method", "runs", *names], rows, title="ln loss of held-out runs; mean ± standard error by budget")
    )
    drift = found.drift_summary().map(lambda value: _cell_by_row("N_opt", "", value))
    rows = [[*map(str, key), *row] for key, row in zip(drift.index, drift.to_numpy().tolist(), strict=True)]
    title = f"N_opt at {format_flops(found.target)} FLOP as the cut rises"
    out.print(_grid(["split", "method", "median", "lower", "upper"], rows, title=title, left=2))
    for (split, method), why in found.failures.items():
        out.print(f"{split}, {method}: {why}")


def _law_document(law: Any) -> dict[str, Any]:
    return {
        "name": law.name,
        "equation": law.equation,
        "inputs": list(law.inputs),
        "params": [{"name": p.name, "prior": str(p.prior), "unit": p.unit, "meaning": p.meaning} for p in law.params()],
        "published": [{"source": p.source, "values": p.theta} for p in law.reference()],
    }


def _draw_frontier(fitted: "Fit", budgets: Any, prob: float, path: Path) -> None:
    """The range of the budgets asked for, drawn smoothly; the default range for a single one."""
    import numpy as np

    from scalefit import plots

    smooth = np.geomspace(budgets.min(), budgets.max(), 60) if len(budgets) > 1 else None
    plots.save(plots.frontier(fitted, smooth, prob), path)


def _print_json(document: Any) -> None:
    print(json.dumps(_finite(document), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    """The same document with null where a number is not finite, since JSON has no other word for it."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, str | bool | int | None):
        return value
    return float(value) if math.isfinite(value) else None


def _console() -> "Console":
    from rich.console import Console

    width = None if sys.stdout.isatty() else 160
    return Console(highlight=False, width=width, markup=False, emoji=False)


def _say(out: "Console", words: str) -> None:
    """A paragraph, no wider than is pleasant to read."""
    out.print(words, width=min(110, out.width))


def _cell_by_row(row: str, column: str, value: float) -> str:
    """A number as this quantity is read: counts with suffixes, shares in percent, the rest to four digits."""
    from scalefit.units import format_count

    if math.isnan(value):
        return "–"
    if column.startswith("ess"):
        return f"{value:.0f}"
    if column == "r_hat":
        return f"{value:.3f}"
    if row.startswith(("N_opt", "D_opt")):
        return format_count(value)
    return f"{value:.2%}" if row == "wasted_compute" else f"{value:.4g}"


def _rich(table: "pd.DataFrame", title: str, cell: Any) -> Any:
    rows = [[str(row), *(cell(str(row), c, v) for c, v in values.items())] for row, values in table.iterrows()]
    return _grid([str(table.index.name), *map(str, table.columns)], rows, title=title)


def _frontier_table(front: Any, prob: float) -> Any:
    from scalefit._numerics import interval
    from scalefit.units import format_count, format_flops

    columns = {
        "params": format_count,
        "tokens": format_count,
        "tokens_per_param": "{:.1f}".format,
        "loss": "{:.3f}".format,
    }
    found = {name: interval(getattr(front, name), prob) for name in columns}
    rows = [
        [format_flops(flops)]
        + ["{} [{}, {}]".format(*(form(v) for v in found[name][:, index])) for name, form in columns.items()]
        for index, flops in enumerate(front.flops)
    ]
    return _grid(["flops", *columns], rows, title=f"compute-optimal frontier; median and {percent(prob)} interval")


def _grid(header: Iterable[str], rows: Iterable[list[str]], title: str | None = None, left: int = 1) -> Any:
    """A plain table: the first `left` columns aligned left, numbers right."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index < left else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


if __name__ == "__main__":
    main()
