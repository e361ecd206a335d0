"""Posteriors with discrepancy of many fits at once: in threads on CPU, in lanes of one program on accelerators."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from scalefit._aot import on_host
from scalefit._batching import at_rows
from scalefit._precision import precision, precision_in_force
from scalefit._random import prng_keys
from scalefit.errors import ScalefitError
from scalefit.fits.fit import Fit
from scalefit.infer._devices import cores, is_cpu, lanes_that_fit, on_devices
from scalefit.model.model import stacked
from scalefit.numerics.importance import doubt, pareto_k_of
from scalefit.sampling.discrepancy_posterior import (
    DiscrepancyPosterior,
    Sampled,
    is_squashed,
    middle_of,
    sampled_on,
    settings_of,
    warned_of,
    with_paths,
)
from scalefit.sampling.joint_draws import SCHEDULES, joint_draws_of_tables

UNCOMPUTED = ScalefitError, ArithmeticError, np.linalg.LinAlgError  # of one table, which others do not suffer from
LANES = 512  # on an accelerator
BYTES_PER_RUN = 100_000  # of one lane's memory while it is drawn: 25 MB for 256 runs in float32


def usual_number() -> int:
    """How many fits to give to `draw_discrepancies` at a time: their draws take 2 MB each."""
    return 4 * cores() if is_cpu() else LANES


def draw_discrepancies(fits: Sequence[Fit]) -> None:
    """Draw the posterior with discrepancy of each fit that has one, which it then keeps.

    A fit whose posterior cannot be drawn keeps none: it says why when it is asked.
    """
    asked = [fit for fit in fits if fit.has_discrepancy and "discrepancy_posterior" not in vars(fit)]
    with precision():  # of all threads, so that limits of theirs are not lifted in between
        kind, sampled = precision_in_force(), {} if is_cpu() else _sampled_together(asked)

        def one(number: int) -> DiscrepancyPosterior | None:
            fit = asked[number]
            with precision(kind):  # which each thread has its own of
                try:
                    draws = sampled.get(number) or sampled_on(fit.bound, fit.theta, fit.seed)
                    return with_paths(fit.bound, fit.theta, fit.seed, draws)
                except UNCOMPUTED:
                    return None

        with ThreadPoolExecutor(cores()) as pool:
            found = list(pool.map(one, range(len(asked))))
    for fit, posterior in zip(asked, found, strict=True):
        if posterior is not None:
            vars(fit)["discrepancy_posterior"] = warned_of(posterior)


def _sampled_together(fits: Sequence[Fit]) -> dict[int, Sampled]:
    """Draws of fits by number, of those that the first schedule suffices for; like tables in one program."""
    alike: dict[Any, list[int]] = {}
    for number, fit in enumerate(fits):
        with suppress(*UNCOMPUTED):  # it is drawn alone, too
            if not is_squashed(bound := fit.bound):
                layout = jax.tree.map(np.shape, bound.data), bound.bases[1].shape, settings_of(bound, fit.theta)[2]
                alike.setdefault((bound.model, str(layout)), []).append(number)
    found: dict[int, Sampled] = {}
    for numbers in alike.values():
        drawn, latent, stats = drawn_in_lanes([fits[number] for number in numbers])
        for row, number in enumerate(numbers):
            mine = at_rows(0, (drawn, latent, stats), row)
            if not doubt(mine[2]):
                bound = fits[number].bound
                found[number] = Sampled(bound, np.ones(len(bound.runs)), *mine[:2], pareto_k_of(mine[2]), "")
    return found


def drawn_in_lanes(fits: Sequence[Fit], most: int = LANES) -> Any:
    """`joint_draws_of_tables` of fits of one model and layout, at most so many in a program."""
    bounds, first = [fit.bound for fit in fits], fits[0].bound
    model, log_prior, shape = settings_of(first, fits[0].theta)
    lanes = min(most, lanes_that_fit(LANES, BYTES_PER_RUN * first.rows))

    def draw(rows: Int[np.ndarray, " lane"], device: Any) -> Any:
        number = jnp.result_type(float)
        starts = [middle_of(bounds[row], fits[row].theta) for row in rows]
        start = {name: np.array([each[name] for each in starts], number) for name in starts[0]}
        bases = np.stack([bounds[row].bases[1] for row in rows]).astype(number)
        tables = stacked([bounds[row] for row in rows]), bases, start, log_prior.astype(number)
        keys = prng_keys([fits[row].seed for row in rows])
        data, some, at, prior, keys = jax.device_put((*tables, keys), device)
        return on_host(joint_draws_of_tables(model, data, some, at, prior, keys, shape, SCHEDULES[0]))

    return on_devices(draw, len(fits), lanes, lanes * first.rows * BYTES_PER_RUN)
