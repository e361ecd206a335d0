"""The default engine: importance sampling where it can be trusted, and a sampler, with the reason, where it cannot."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, final

import numpy as np

from scalefit.diagnostics.checks import Check
from scalefit.infer._contracts import Engine, EngineResult, Report
from scalefit.infer.ais import AIS
from scalefit.infer.nuts import NUTS
from scalefit.model.model import BoundModel
from scalefit.numerics.importance import doubt, pareto_k_of

# Below the k at which weights are refused, tails already come out too thin: posteriors against long NUTS runs
# had standard deviations a fifth too small at k = .67, and right ones from proposals adapted on eight times the draws.
ENOUGH = 0.55
PATIENCE = 12.0  # seconds: what mixes in this time is to be trusted, and what does not has a table to look at


@final
@dataclass(frozen=True)
class Auto(Engine):
    """Importance sampling; more of it where Pareto k exceeds 0.55; and NUTS where k then exceeds 0.7 or few draws are
    effective.

    Several modes stay with importance sampling, whose proposals begin in all of them, while chains would not cross
    from one to another; `health` then reports them.

    Parameters
    ----------
    first
        The engine of the first attempt; the second has four times its block and twice its rounds.
    fallback
        The engine of the third, with less time than it has by itself.
    """

    first: AIS = field(default_factory=AIS)
    fallback: Engine = field(default_factory=lambda: NUTS(seconds=PATIENCE))

    name: ClassVar[str] = "auto"
    kind: ClassVar = "posterior"

    @property
    def larger(self) -> AIS:
        """`first` with four times the draws a round, and twice the rounds."""
        return replace(self.first, block=4 * self.first.block, rounds=2 * self.first.rounds)

    def run(self, bound: BoundModel, seed: int, report: Report) -> EngineResult:
        """The first result that is to be trusted, with the reason among its checks where it is not the first."""
        found = self.first.run(bound, seed, report)
        for engine, reason in ((self.larger, thin_tails), (self.fallback, distrust)):
            if why := reason(found):
                found = _instead(engine, engine.run(bound, seed, report), why)
        return found

    def run_many(self, bounds: Sequence[BoundModel], seeds: Sequence[int]) -> list[EngineResult | str]:
        """The first engine on all tables, the others on those that need them."""
        results = self.first.run_many(bounds, seeds)
        for engine, reason in ((self.larger, thin_tails), (self.fallback, distrust)):
            poor = {i: why for i, found in enumerate(results) if (why := reason(found))}
            again = engine.run_many([bounds[i] for i in poor], [seeds[i] for i in poor])
            for i, found in zip(poor, again, strict=True):
                results[i] = found if isinstance(found, str) else _instead(engine, found, poor[i])
        return results


def _instead(engine: Engine, found: EngineResult, why: str) -> EngineResult:
    name = "more importance sampling" if isinstance(engine, AIS) else engine.name
    return replace(found, checks=(Check("engine", "ok", float("nan"), f"{name}, because {why}"), *found.checks))


def thin_tails(found: EngineResult | str) -> str:
    """Why the tails of importance sampling may be too thin, empty where they are not."""
    if isinstance(found, str):
        return ""
    k = pareto_k_of(found.stats)
    return "" if k <= ENOUGH else f"its Pareto k was {k:.2f}, above {ENOUGH}"


def distrust(found: EngineResult | str) -> str:
    """Why importance sampling is not to be trusted here, empty where it is."""
    if isinstance(found, str):
        return "importance sampling failed"
    return "" if np.asarray(found.stats["modes"])[0, 0] > 1 else doubt(found.stats)
