"""`sf.report`: the page of one fit."""

from pathlib import Path
from typing import Any

from scalefit._atomic import atomic_write
from scalefit.errors import OptionError, StorageError
from scalefit.fits.diagnosis import diagnose
from scalefit.fits.fit import Fit, check_fit
from scalefit.reports.answer import FirstView, first_view
from scalefit.reports.bundle import page
from scalefit.reports.payload import further_inputs, payload
from scalefit.reports.tables import view_of

FEWEST = 100


def report(
    fit: Fit,
    path: str | Path,
    draws: int = 1000,
    title: str | None = None,
    redact: bool = False,
    *,
    plotly: str = "inline",
) -> Path:
    """Write a self-contained HTML page: the answer, its figures, and a planner that computes on the posterior's draws.

    Parameters
    ----------
    fit
        Any fit. One whose health is "fail" gets a page of the reasons.
    path
        Where to write.
    draws
        The most draws of each posterior that the page computes on.
    title
        Of the page; the table's name by default.
    redact
        Leave out the runs and every name of them.
    plotly
        "inline", or the address of a plotly.js for a smaller file.

    Returns
    -------
    Path
        The file. The same fit and versions give the same bytes.

    Raises
    ------
    OptionError
        plotly or jinja2 is not installed, or there are too few draws.
    StorageError
        The file cannot be written.
    """
    check_fit(fit)
    if draws < FEWEST:
        raise OptionError(f"{draws} draws are too few for intervals. Use at least {FEWEST}.")
    path = Path(path)
    if not path.absolute().parent.is_dir():
        raise StorageError(f"cannot write {path}: there is no folder {path.parent}. Make it first.")
    text = page_of(fit, draws, title, redact, plotly)
    try:
        atomic_write(path, text.encode())
    except OSError as problem:
        raise StorageError(f"cannot write {path}: {problem.strerror}. Choose another place.") from problem
    return path


def page_of(fit: Fit, draws: int, title: str | None, redact: bool, plotly: str) -> str:
    """The page's text."""
    named = title or ("Scaling-law report" if redact else f"What to train, from {fit.runs.name}")
    failed = fit.health.verdict == "fail"
    view = FirstView("", "", (), (), None) if failed else first_view(fit, further_inputs(fit))
    diagnosis = None if failed or redact or view.plan is None else diagnose(fit)
    document: dict[str, Any] = payload(fit, view, diagnosis, named, draws, redact)
    return page(view_of(fit, view, named, draws, redact), document, plotly)
