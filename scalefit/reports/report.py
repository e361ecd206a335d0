"""`sf.report`: the page of a fit, or of several side by side."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from scalefit._atomic import atomic_write
from scalefit.errors import OptionError, StorageError
from scalefit.fits.diagnosis import diagnose
from scalefit.planning import RunComparison
from scalefit.recipes import RecipeComparison, RecipeFits
from scalefit.reports.answer import FirstView, first_view
from scalefit.reports.bundle import page
from scalefit.reports.comparison import compared, named_fits
from scalefit.reports.comparison_tables import of_recipes, of_runs
from scalefit.reports.payload import further_inputs, payload
from scalefit.reports.tables import plain_view, view_of
from scalefit.validation import LawComparison

FEWEST = 100


def report(
    fit: Any,
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
        Any fit. One whose health is "fail" gets a page of the reasons. Or several, a list or a dict by name: the page
        of the first, with a comparison of all. Or what `compare_laws`, `compare_runs` or
        `compare_recipes` returns.
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
    DataError
        The losses of several fits are in different units.
    OptionError
        plotly or jinja2 is not installed, there are too few draws, or too many fits.
    StorageError
        The file cannot be written.
    """
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


def page_of(given: Any, draws: int, title: str | None, redact: bool, plotly: str) -> str:
    """The page's text, of whatever `report` takes."""
    if isinstance(given, RunComparison | RecipeComparison):
        return _without_planner(given, title, redact, plotly)
    several = given.fits if isinstance(given, LawComparison) else given
    fits = named_fits(several if isinstance(several, Mapping | list | tuple) else [several], redact)
    fit = next(iter(fits.values()))
    named = title or ("Scaling-law report" if redact else f"What to train, from {fit.runs.name}")
    failed = fit.health.verdict == "fail"
    view = FirstView("", "", (), (), None) if failed else first_view(fit, further_inputs(fit))
    diagnosis = None if failed or redact or view.plan is None else diagnose(fit)
    comparison = compared(
        fits, {name: further_inputs(each) for name, each in fits.items()}, isinstance(given, RecipeFits)
    )
    if comparison and isinstance(given, LawComparison):
        comparison = replace(comparison, sentence=f"{given.headline()} {comparison.sentence}")
    document: dict[str, Any] = payload(fit, view, diagnosis, named, draws, redact)
    document["comparison"] = comparison.figure if comparison else None
    return page(view_of(fit, view, named, draws, redact) | {"comparison": comparison}, document, plotly)


def _without_planner(given: RunComparison | RecipeComparison, title: str | None, redact: bool, plotly: str) -> str:
    """A page of a comparison alone."""
    if isinstance(given, RunComparison):
        named, found = f"{given.a.name} against {given.b.name}", of_runs(given)
    else:
        if redact:
            raise OptionError("a comparison of recipes names them. Leave redact out, or report their fits.")
        named, found = f"Recipes beside {given.baseline}", of_recipes(given)
    named = title or ("Scaling-law report" if redact else named)
    return page(plain_view(named, found, given.assumptions, redact), {"title": named}, plotly)
