"""Do priors that a user gave agree with the runs, each beside what the likelihood gives; and E with the losses?"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from scalefit._precision import precision
from scalefit.diagnostics.checks import Check, Draws, grade
from scalefit.diagnostics.residuals import irls_weight, law_and_slopes
from scalefit.diagnostics.rows import row_label
from scalefit.laws import Prior, SameAs
from scalefit.model.model import BoundModel, Model

APART = 3.0  # standard deviations
STEPS = 20  # of reweighted least squares
ENDS = np.array([0.05, 0.5, 0.95])
HALF_90 = 1.645


def check_prior_conflict(bound: BoundModel, draws: Draws, kind: str) -> Iterator[Check]:
    """Check priors of the law that a user gave, and parameters that are fixed or tied, against the runs alone.

    Parameters
    ----------
    bound
        The model bound to its table.
    draws
        Raw parameters, name -> (chain, draw), next to whose median the likelihood is looked at.
    kind
        "posterior", "bootstrap" or "point"; the last two know no priors but what is fixed or tied.

    Yields
    ------
    Check
        "prior of ..." for each, whose value is the distance in standard deviations.
    """
    in_law = {p.name: p for p in bound.model.law.params()}
    given = {k: p for k, p in bound.model.priors if k in in_law and (kind == "posterior" or not p.free)}
    if not given or len(bound.runs) <= len(in_law):
        return
    mode, covariance = _likelihood(bound, draws)
    space = Model(bound.model.law, bound.model.noise).law_space
    if not (np.isfinite(mode).all() and np.isfinite(covariance).all()):
        return
    for name, prior in given.items():
        unit = bound.unit["loss"] if in_law[name].unit == "nats" else 1.0
        write = lambda z, name=name, unit=unit: f"{float(space.constrain({name: z})[name]) * unit:.4g}"
        i = space.names.index(name)
        sd = float(np.sqrt(covariance[i, i]))
        alone = f"{write(mode[i])} [{write(mode[i] - HALF_90 * sd)}, {write(mode[i] + HALF_90 * sd)}]"
        if isinstance(prior, SameAs):
            j = space.names.index(prior.name)
            off = abs(mode[i] - mode[j])
            spread = float(np.sqrt(max(covariance[i, i] + covariance[j, j] - 2 * covariance[i, j], 0.0)))
            stated, alone = f"{name} is the same as {prior.name}", f"{alone} and {write(mode[j])}"
        else:
            low, middle, high = _unconstrained(prior, space.priors[name])
            off, spread = abs(mode[i] - middle), float(np.hypot(sd, (high - low) / (2 * HALF_90)))
            stated = f"{name} is fixed at {write(middle)}"
            if prior.free:
                stated = f"the prior of {name} has the 90% interval [{write(low)}, {write(high)}]"
        apart = float(off / max(spread, 1e-12))
        sentence = f"{stated}, and the runs alone give {alone} by the law, {apart:.1f} standard deviations away"
        if in_law[name].unit not in ("1", "nats", "raw"):
            sentence += ", in units of the table's geometric means"
        if apart > APART:
            sentence += ". Widen the prior, or check that it is for the same data, tokenizer and unit of loss"
        yield Check(f"prior of {name}", grade(apart, apart <= APART, True), apart, f"{sentence}.")


def check_least_loss(bound: BoundModel, draws: Draws) -> Iterator[Check]:
    """Check that no loss of the table lies below the least loss of the law, as noise alone could put it there.

    Parameters
    ----------
    bound
        The model bound to its table.
    draws
        Raw parameters, name -> (chain, draw).

    Yields
    ------
    Check
        "least loss", where a run lies below the median of E, by whatever name; its value is that median.
    """
    for name in (p.name for p in bound.model.law.params() if p.unit == "nats"):
        level, row = float(np.median(draws[name])), int(bound.runs.loss.argmin())
        if level > bound.runs.loss[row]:
            sentence = (
                f"{name} is {level:.4g}, above the loss of {row_label(bound.runs, row)}, {bound.runs.loss[row]:.4g}, "
                "and no loss of the law lies below it. Check that run, and the prior."
            )
            yield Check("least loss", "review", level, sentence)


def _unconstrained(prior: Prior, own: Prior) -> tuple[float, float, float]:
    """The 5 %, 50 % and 95 % quantiles of a prior, on the real line that the law's own prior is on."""
    value = prior.value
    at = np.asarray(prior.quantile(ENDS) if value is None else [value] * 3, dtype=float)
    low, middle, high = np.asarray(own.transform.inv(np.maximum(at, 1e-9) if own.ends[0] == 0 else at), dtype=float)
    return float(low), float(middle), float(high)


def _likelihood(
    bound: BoundModel, draws: Draws
) -> tuple[Float[np.ndarray, " param"], Float[np.ndarray, "param param"]]:
    """Mode and covariance of all parameters of the law, unconstrained, from the runs and the law's own wide priors."""
    model = Model(bound.model.law, bound.model.noise, discrepancy=None)
    wide, count = replace(bound, model=model), len(bound.runs)
    middle = wide.to_unit({name: np.median(draws[name]) for name in draws})
    with precision():
        data = wide.data
        z = {k: np.asarray(v, dtype=float) for k, v in model.law_space.unconstrain(middle).items()}
        at = np.array([z[name] for name in model.law_space.names])
        log_loss = np.asarray(data.log_loss, dtype=float)[:count]
        for _ in range(STEPS):
            log_mean, slopes, width = (np.asarray(v, dtype=float) for v in law_and_slopes(model, data, at)[:3])
            off, slopes = log_loss - log_mean[:count], slopes[:count]
            size = max(1.4826 * float(np.median(np.abs(off))), 1e-6)
            weighted = slopes * irls_weight(off / size)[:, None]
            precise = weighted.T @ slopes / size**2 + np.eye(len(at))
            step = np.linalg.solve(precise, weighted.T @ off / size**2)
            at = at + width * np.clip(step, -1.0, 1.0)
    return at, np.linalg.inv(precise) * np.outer(width, width)
