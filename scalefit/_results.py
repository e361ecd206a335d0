"""Results introduce themselves: a sentence with the numbers that matter and a table, as text, HTML and LaTeX."""

from abc import ABC, abstractmethod
from html import escape
from typing import final

from scalefit._display import html_table, latex_table, text_table
from scalefit._tables import Table

PROB = 0.9


class Result(ABC):
    """The contract of a public result. A subclass that is a dataclass takes `repr=False`.

    Neither the sentence nor the table may cost more than an instant: they are made of what the result holds, and
    never compile, sample or read anything.
    """

    @abstractmethod
    def headline(self, prob: float = PROB) -> str:
        """One sentence with the numbers that matter, each with its unit and its interval of probability `prob`."""

    @abstractmethod
    def _table(self, prob: float) -> Table:
        """The table under the sentence, with intervals of probability `prob` where it has any."""

    @final
    def __repr__(self) -> str:
        return f"{self.headline()}\n\n{text_table(self._table(PROB), PROB)}"

    @final
    def _repr_html_(self) -> str:
        return f"<div><p>{escape(self.headline())}</p>\n{html_table(self._table(PROB), PROB)}</div>"

    @final
    def to_latex(self, prob: float = PROB) -> str:
        r"""The table as a LaTeX `tabular`, each interval in small type under its value.

        Parameters
        ----------
        prob
            Probability of every interval, equal-tailed.

        Returns
        -------
        str
            Rules are those of the package booktabs: `\usepackage{booktabs}`.

        Raises
        ------
        OptionError
            `prob` does not lie between 0 and 1.
        """
        return latex_table(self._table(prob), prob)
