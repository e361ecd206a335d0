"""NUTS (Hoffman and Gelman 2014, arXiv 1111.4246) from NumPyro, in coordinates whitened at the mode.

The law's parameters are so correlated (E against alpha, -0.98) that a metric learned in warm-up costs more than
the sampling. The curvature at the mode gives it at once; warm-up then only polishes it. Chains advance together
in one compiled program, a block of steps at a time, so that progress can be shown and the numbers do not depend on it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, ClassVar, final

import jax
import numpy as np
from jaxtyping import Array, Float, UInt32

from scalefit._aot import fast_compile_options, on_host
from scalefit._random import prng_key
from scalefit.diagnostics.checks import Check
from scalefit.errors import OptionError
from scalefit.infer._contracts import Engine, EngineResult, Report, run_each
from scalefit.model.data import TILE, Data
from scalefit.model.model import BoundModel, Model
from scalefit.numerics.laplace import Laplace
from scalefit.sampling.alr import alr_potential, constrain_alr
from scalefit.sampling.modes import modes
from scalefit.sampling.nuts_kernel import nuts_kernel

BLOCK = 50
OVERDISPERSION = 2.0  # chains start twice as far out as the posterior, so that R-hat can see them disagree


@final
@dataclass(frozen=True)
class NUTS(Engine):
    """The No-U-Turn sampler.

    Parameters
    ----------
    chains
        How many.
    draws, warmup
        Kept and discarded draws a chain.
    target_accept
        Acceptance probability that the step size is tuned to.
    max_tree_depth
        At most 2^max_tree_depth - 1 leapfrog steps a draw.
    seconds
        After so many, not counting compilation nor what other processes take of a CPU, it ends with the draws that it
        has, and health reports it; None sets no limit.

    Raises
    ------
    OptionError
        An option is out of range.
    """

    chains: int = 4
    draws: int = 1000
    warmup: int = 500
    target_accept: float = 0.8
    max_tree_depth: int = 10
    seconds: float | None = 600.0

    name: ClassVar[str] = "nuts"
    kind: ClassVar = "posterior"

    def __post_init__(self) -> None:
        if min(self.chains, self.max_tree_depth) < 1 or self.draws < 4 or self.warmup < 0:
            raise OptionError(f"{self} is too small. Use at least 1 chain, 4 draws and no negative warmup.")
        if not 0 < self.target_accept < 1:
            raise OptionError(f"{self} is out of range. Use a target_accept between 0 and 1.")
        if self.seconds is not None and not self.seconds > 0:
            raise OptionError(f"{self} is out of range. Use a positive number of seconds, or None.")

    def run(self, bound: BoundModel, seed: int, report: Report) -> EngineResult:
        """Start every chain around the mode, warm up, and keep `draws` draws of each, or fewer where time is up."""
        init, advance = _compiled(bound.model, replace(self, seconds=None))
        data = bound.data
        start = jax.tree.map(lambda leaf: leaf[0], on_host(modes(bound.model, data)))
        state = init(start, data, jax.random.split(prng_key(seed), self.chains))
        total, kept, done, began = self.warmup + self.draws, [], 0, None
        while done < total and not (began and self.seconds and _since(began) > self.seconds):
            state, block = advance(state, start, data)
            kept.append(on_host(block))
            began, done = began or _now(), min(done + steps_of(data), total)
            report(done, total)
        first = self.warmup if done > self.warmup else done // 2
        steps = jax.tree.map(lambda *parts: np.concatenate(parts)[first:done].swapaxes(0, 1), *kept)
        draws = constrain_alr(bound.model, start.mode + steps.position @ start.scale.T)
        stats = {name: values for name, values in steps._asdict().items() if name != "position"}
        stats["converged"] = np.broadcast_to(start.converged, steps.num_steps.shape)
        stats["saturated"] = steps.num_steps >= 2**self.max_tree_depth - 1
        return EngineResult(draws, stats, self._ended_early(done, total))

    def run_many(self, bounds: Sequence[BoundModel], seeds: Sequence[int]) -> list[EngineResult | str]:
        """One table after another."""
        return run_each(self, bounds, seeds)

    def _ended_early(self, done: int, total: int) -> tuple[Check, ...]:
        if done == total:
            return ()
        where = "" if done > self.warmup else ", in its warm-up"
        sentence = (
            f"NUTS ended after {self.seconds:g} s, at step {done} of {total}{where}. Look for copies of runs and runs "
            "far off, or give more time, as in engine=sf.NUTS(seconds=3600)."
        )
        return (Check("time", "fail" if where else "review", done / total, sentence),)


@lru_cache(maxsize=32)
def _compiled(model: Model, engine: NUTS) -> tuple[Any, Any]:
    """`init` and `advance` of a model's chains; tables of one shape share them, since data are arguments."""
    compiled = partial(jax.jit, compiler_options=fast_compile_options(jax.default_backend()))

    @jax.jit  # traced once, however often the sampler asks for it
    def potential(start: Laplace, data: Data, position: Float[Array, " dim"]) -> Float[Array, ""]:
        return alr_potential(model, data, start.mode + start.scale @ position)

    kernel = nuts_kernel(potential, engine.warmup, engine.target_accept, engine.max_tree_depth)

    @compiled
    def init(start: Laplace, data: Data, keys: UInt32[Array, "chain 2"]) -> Any:
        place, momentum = jax.vmap(jax.random.split, out_axes=1)(keys)
        normal = jax.vmap(lambda key: jax.random.normal(key, start.mode.shape, start.mode.dtype))(place)
        return kernel.init(OVERDISPERSION * normal, momentum, start, data)

    return init, compiled(lambda state, start, data: kernel.advance(state, steps_of(data), start, data))


def _now() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


def _since(began: tuple[float, float]) -> float:
    """Seconds since then; those of the processor where they are fewer, as where others use it too."""
    wall, cpu = (now - then for now, then in zip(_now(), began, strict=True))
    return min(wall, cpu) if jax.default_backend() == "cpu" else wall


def steps_of(data: Data) -> int:
    """How many steps are taken together: fewer where a table is large, so that time is looked at in between."""
    return max(1, BLOCK * TILE // max(TILE, len(data.weight)))
