"""What commands say beside an answer: notes, and where a result was written."""

from collections.abc import Mapping
from pathlib import Path

from scalefit.diagnostics.checks import Health
from scalefit.errors import shortened

KAPLAN_COUNTS = "Kaplan 2020 counts N without embeddings."


def fitting_note(source: str) -> str:
    """That a table is fitted before the question is answered, and how to save the time."""
    return f"note: {source} is a table and is fitted first. Keep the fit with `scalefit fit {source} -o FIT`."


def saved_sentence(path: Path) -> str:
    """Where a fit was written."""
    return f"The fit is in {path}."


def report_sentence(path: Path, size: int, health: Health) -> str:
    """Where a report was written, how large it is, and that it has no answer where health fails."""
    words = f"The report is in {path} ({size / 1e6:.1f} MB). Open it in a browser; it needs no network."
    return words if health.verdict != "fail" else f"{words} The fit's health is fail, and the report shows why."


def rows_sentence(folder: Path) -> str:
    """Where the rows of many fits are, and the command that makes one file of them."""
    return f"A row a fit is in {folder}. Make one file of all shards with `scalefit merge {folder}`."


def failures_sentence(failures: Mapping[str, str], most: int = 3) -> str:
    """Why some of many tables have no fit, by name; empty where all have."""
    if not failures:
        return ""
    first = {name: why.removeprefix(f"{name}: ") for name, why in [*failures.items()][:most]}
    shown = "; ".join(f"{shortened(name, 60)}: {shortened(why, 300)}" for name, why in first.items())
    more = f" ({len(failures) - most} more are in the rows)" if len(failures) > most else ""
    return f"Without a fit: {shown.rstrip('.')}{more}."


def merged_sentence(path: Path, tables: int, verdicts: Mapping[str, int], failed: int) -> str:
    """What one file of many fits contains."""
    assessed = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    health = f" (health: {assessed})" if sum(verdicts.values()) else ""
    return f"{path} has {tables} rows: {tables - failed} fits{health}, and {failed} tables without one."


def scales_sentence(path: Path) -> str:
    """Where scales of the discrepancy were written, and the command that reads them."""
    return f"The scales are in {path}. Use them with `scalefit fit RUNS --discrepancy {path}`."


def few_sweeps_sentence(families: int) -> str:
    """A caution about scales learned from few families of sweeps; empty where they are many."""
    if families >= 5:
        return ""
    return f"{families} sweeps are few: a choice that rests on them may not be the best elsewhere."


def cache_sentences(folder: str, platform: str) -> list[str]:
    """Where compiled programs are kept, and how to use an accelerator where there is none."""
    kept = f"Compiled programs are kept in {folder}."
    other = "For an NVIDIA GPU: pip install 'scalefit[cuda]'; for a TPU: pip install 'scalefit[tpu]'."
    return [kept, other] if platform == "cpu" else [kept]
