"""What an answer rests on: every decision carries it, so that no number travels without its conventions."""

from dataclasses import dataclass
from typing import Any

from scalefit.costs.cost import Cost
from scalefit.diagnostics.checks import Health
from scalefit.fits.fit import Fit
from scalefit.model.discrepancy import Evidence


@dataclass(frozen=True)
class Assumptions:
    """table, law : what was fitted to what; rule : how cost is counted.

    compute_range, ratio_range : smallest and largest compute (FLOP), and tokens per parameter, of the runs.

    convention : what N counts, "total", "non_embedding" or "active" parameters; None where the table does not say.
    kind : of the draws, "posterior", "bootstrap" or "point". wall : how unique tokens bind, in words, or empty.
    discrepancy : whether intervals include it; evidence : what such intervals held on studies, where that is known.
    health : of the fit, or of both where two are compared. unconverged : share of draws whose searches did not
    converge.
    """

    table: str
    law: str
    kind: str
    rule: str
    compute_range: tuple[float, float]
    ratio_range: tuple[float, float]
    health: Health
    convention: str | None = None
    wall: str = ""
    discrepancy: bool = False
    evidence: Evidence | None = None
    unconverged: float = 0.0

    @classmethod
    def of(
        cls, fit: Fit, cost: Cost, unique_tokens: Any = None, discrepancy: bool = False, unconverged: float = 0.0
    ) -> "Assumptions":
        """The basis of an answer drawn from this fit at this cost."""
        law, wall, per = fit.model.law, "", fit.runs.tokens / fit.runs.params
        ratios = float(per.min()), float(per.max())
        if unique_tokens is not None:
            wall = (
                f"repeated tokens are worth what the {law.name} law says"
                if "unique_tokens" in law.inputs
                else f"the {law.name} law knows no repetition, so a repeated token is taken to teach nothing"
            )
        described = fit.runs.name, law.name, fit.kind, cost.describe(), fit.compute_range, ratios, fit.health
        return cls(*described, fit.runs.convention, wall, discrepancy, fit.model.evidence, unconverged)

    def extrapolation_factor(self, flops: float) -> float:
        """Compute in multiples of the largest run's: above 1 an extrapolation."""
        return flops / self.compute_range[1]
