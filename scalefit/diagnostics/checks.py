"""A check of a fit, and its health: all checks and the verdict of the worst."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped

Verdict = Literal["ok", "review", "fail"]
Draws = Mapping[str, Float[np.ndarray, "chain draw"]]
"""Parameter or quantity -> draws."""
Stats = Mapping[str, Shaped[np.ndarray, "..."]]
"""The sampler's own numbers, by name."""
SEVERITY: dict[Verdict, int] = {"ok": 0, "review": 1, "fail": 2}


@dataclass(frozen=True)
class Check:
    """One check of a fit.

    Parameters
    ----------
    name
        What is checked.
    verdict
        "ok", "review" or "fail".
    value
        The number that the verdict rests on; NaN where it rests on none.
    sentence
        What was found and, where the verdict is not ok, a second sentence with the remedy.
    """

    name: str
    verdict: Verdict
    value: float
    sentence: str


@dataclass(frozen=True, repr=False)
class Health:
    """All checks of a fit.

    Parameters
    ----------
    checks
        In the order in which they are reported.
    """

    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst verdict: "ok", "review" (usable with the cautions given) or "fail" (do not use)."""
        return max((check.verdict for check in self.checks), key=SEVERITY.__getitem__, default="ok")

    @property
    def doubts(self) -> tuple[Check, ...]:
        """The checks that are not ok, worst first."""
        bad = [check for check in self.checks if check.verdict != "ok"]
        return tuple(sorted(bad, key=lambda check: -SEVERITY[check.verdict]))

    @property
    def cautions(self) -> tuple[str, ...]:
        """The sentences of the checks that are not ok, worst first."""
        return tuple(check.sentence for check in self.doubts)

    def __repr__(self) -> str:
        lines = [f"  {check.verdict:<6} {check.name}: {check.sentence}" for check in self.checks]
        return "\n".join([f"health: {self.verdict}", *lines])


def grade(value: float, ok: bool, usable: bool) -> Verdict:
    """The verdict on a number.

    Parameters
    ----------
    value
        The number.
    ok
        Whether it needs no caution.
    usable
        Whether the draws can be used at all.

    Returns
    -------
    str
        "fail" where the number is NaN or the draws are not usable, else "ok" or "review".
    """
    if np.isnan(value) or not usable:
        return "fail"
    return "ok" if ok else "review"
