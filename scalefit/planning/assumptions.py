"""What an answer assumes: every decision has it, so that no number is without its conventions."""

from dataclasses import dataclass
from typing import Any

from scalefit.costs.cost import Cost
from scalefit.diagnostics.checks import Health
from scalefit.fits.fit import Fit
from scalefit.loss_units import NATS
from scalefit.model.discrepancy import Evidence


@dataclass(frozen=True)
class Assumptions:
    """The data, the model and the conventions behind an answer.

    Parameters
    ----------
    table, law
        What was fitted to what.
    kind
        Of the draws: "posterior", "bootstrap" or "point".
    cost
        What is paid for, on average.
    compute_range, ratio_range
        Smallest and largest compute (FLOP), and tokens per parameter, of the runs.
    health
        Of the fit, or of both where two are compared.
    convention
        What N counts: "total", "non_embedding" or "active" parameters; None where the table does not state it.
    wall
        How unique tokens bind, a clause, or empty.
    discrepancy, evidence
        Whether intervals include it, and how often such intervals contained held-out runs, where that is known.
    unconverged
        Share of the draws whose searches did not converge.
    loss_unit
        Of every loss.
    """

    table: str
    law: str
    kind: str
    cost: Cost
    compute_range: tuple[float, float]
    ratio_range: tuple[float, float]
    health: Health
    convention: str | None = None
    wall: str = ""
    discrepancy: bool = False
    evidence: Evidence | None = None
    unconverged: float = 0.0
    loss_unit: str = NATS

    @classmethod
    def of(
        cls, fit: Fit, cost: Cost, unique_tokens: Any = None, discrepancy: bool = False, unconverged: float = 0.0
    ) -> "Assumptions":
        """The assumptions of an answer from a fit at a cost."""
        law, wall, per = fit.model.law, "", fit.runs.tokens / fit.runs.params
        if unique_tokens is not None:
            wall = (
                f"the {law.name} law counts repeated tokens"
                if "unique_tokens" in law.inputs
                else f"the {law.name} law has no unique tokens, so repeated tokens are assumed to change nothing"
            )
        return cls(
            table=fit.runs.name,
            law=law.name,
            kind=fit.kind,
            cost=cost,
            compute_range=fit.compute_range,
            ratio_range=(float(per.min()), float(per.max())),
            health=fit.health,
            convention=fit.runs.convention,
            wall=wall,
            discrepancy=discrepancy,
            evidence=fit.model.evidence,
            unconverged=unconverged,
            loss_unit=fit.runs.unit,
        )

    @property
    def rule(self) -> str:
        """How cost is counted."""
        return self.cost.describe()

    def flops(self, params: Any, tokens: Any) -> Any:
        """Compute of training runs, FLOP."""
        return self.cost.flops(params, tokens)

    def extrapolation_factor(self, flops: float) -> float:
        """Compute in multiples of the largest run's: above 1 an extrapolation."""
        return flops / self.compute_range[1]
