"""Can these draws be trusted? Numbers, a verdict and a sentence for each check.

Gates: R-hat at most 1.01 and bulk and tail ESS at least 400 (Vehtari et al. 2021, arXiv 1903.08008), no
divergences, E-BFMI at least 0.3 (Betancourt 2016, arXiv 1604.00695), no saturated trees; and what no sampler
can mend: a design that does not identify the law.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Verdict = Literal["ok", "review", "fail"]
Draws = dict[str, np.ndarray]
SEVERITY: dict[Verdict, int] = {"ok": 0, "review": 1, "fail": 2}


@dataclass(frozen=True)
class Check:
    """One check: what was looked at, its number, its verdict, and a sentence for the reader."""

    name: str
    verdict: Verdict
    value: float
    sentence: str


@dataclass(frozen=True)
class Health:
    """All checks of a fit; the verdict is that of the worst."""

    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """ "ok", "review" (usable with the cautions given) or "fail" (do not use)."""
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

    def __str__(self) -> str:
        lines = [f"  {check.verdict:<6} {check.name}: {check.sentence}" for check in self.checks]
        return "\n".join([f"health: {self.verdict}", *lines])


def _grade(value: float, ok: bool, usable: bool) -> Verdict:
    if np.isnan(value) or not usable:
        return "fail"
    return "ok" if ok else "review"
