"""The report's page inside a notebook."""

from dataclasses import dataclass
from html import escape
from typing import Any, final

from scalefit.reports.report import page_of


@final
@dataclass(frozen=True, repr=False)
class Explorer:
    """A page that a notebook shows in a frame of its own.

    Parameters
    ----------
    page
        HTML, whole.
    height
        Of the frame, pixels.
    """

    page: str
    height: int

    def __repr__(self) -> str:
        return f"a page of {len(self.page) / 1e6:.1f} MB; show it in a notebook, or write it with sf.report"

    def _repr_html_(self) -> str:
        allowed = "allow-scripts allow-downloads allow-popups"
        return (
            f'<iframe title="scalefit report" sandbox="{allowed}" srcdoc="{escape(self.page)}" '
            f'style="width:100%;height:{self.height}px;border:0"></iframe>'
        )


def explore(fit: Any, draws: int = 1000, title: str | None = None, height: int = 900) -> Explorer:
    """The page of `sf.report`, for a notebook to show.

    Parameters
    ----------
    fit, draws, title
        As for `sf.report`.
    height
        Of the frame, pixels.

    Raises
    ------
    OptionError
        As `sf.report` does.
    """
    return Explorer(page_of(fit, draws, title, False, "inline"), height)
