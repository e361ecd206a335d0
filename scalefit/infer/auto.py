"""The default engine: importance sampling where it can be trusted, a sampler where it cannot, and the reason said."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, final

import numpy as np

from scalefit.health import PARETO_K, Check
from scalefit.infer._engine import Engine, EngineResult, Report
from scalefit.infer.ais import AIS
from scalefit.infer.nuts import NUTS
from scalefit.model import BoundModel

LEAST_EFFECTIVE = 400


@final
@dataclass(frozen=True)
class Auto(Engine):
    """`first`, and `fallback` where Pareto k exceeds 0.7 or few draws are effective.

    Several modes stay with importance sampling, whose proposals begin in all of them, while chains would not cross
    from one to another; `health` then says so.
    """

    first: AIS = field(default_factory=AIS)
    fallback: Engine = field(default_factory=NUTS)

    name: ClassVar[str] = "auto"
    kind: ClassVar = "posterior"

    def run(self, bound: BoundModel, seed: int, report: Report) -> EngineResult:
        """The first engine's draws, or the fallback's with the reason among its checks."""
        found = self.first.run(bound, seed, report)
        return self._instead(self.fallback.run(bound, seed, report), why) if (why := distrust(found)) else found

    def run_many(self, bounds: Sequence[BoundModel], seeds: Sequence[int]) -> list[EngineResult | str]:
        """The first engine on all tables, the fallback on those that need it."""
        results = self.first.run_many(bounds, seeds)
        poor = {i: why for i, found in enumerate(results) if (why := distrust(found))}
        second = self.fallback.run_many([bounds[i] for i in poor], [seeds[i] for i in poor])
        for i, found in zip(poor, second, strict=True):
            results[i] = found if isinstance(found, str) else self._instead(found, poor[i])
        return results

    def _instead(self, found: EngineResult, why: str) -> EngineResult:
        check = Check("engine", "ok", float("nan"), f"{self.fallback.name}, because {why}")
        return replace(found, checks=(check,))


def distrust(found: EngineResult | str) -> str:
    """Why importance sampling is not to be trusted here, empty where it is."""
    if isinstance(found, str):
        return "importance sampling failed"
    k, modes = (float(np.asarray(found.stats[name])[0, 0]) for name in ("pareto_k", "modes"))
    log_weight = np.asarray(found.stats["log_weight"])
    effective = log_weight.size / np.exp(log_weight).mean()
    if modes > 1:
        return ""
    if not k <= PARETO_K:
        return f"Pareto k of importance sampling is {k:.2f}, above {PARETO_K}"
    if effective < min(LEAST_EFFECTIVE, log_weight.size / 4):
        return f"importance sampling left {effective:.0f} effective draws"
    return ""
