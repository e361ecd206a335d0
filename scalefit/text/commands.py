"""What commands say beside an answer: notes, and where a result was written."""

from pathlib import Path

from scalefit.diagnostics.checks import Health

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
