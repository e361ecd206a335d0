"""Whether a table carries a model, and whether priors that a user gives are those of their parameters and table."""

from collections.abc import Mapping

import numpy as np

from scalefit.errors import DataError, OptionError
from scalefit.laws import Law, Prior, SameAs
from scalefit.model.clusters import SHARED, Clustered, of_single_runs
from scalefit.model.noise import Noise
from scalefit.runs import Runs

LEVELS = ("nats", "raw")  # units of parameters that are a loss; the second of a function, whose parameters may be any
OTHER = {"loss": 1.7, "flops": 2.3e19}  # units of a table, by which a tie is checked


def check_priors(law: Law, noise: Noise, priors: Mapping[str, Prior | SameAs]) -> None:
    """Raise `OptionError` where a prior is in nats and its parameter is not, or two parameters cannot be the same."""
    of_noise = noise.params() if isinstance(noise, Clustered) else Clustered(noise).params()
    params = {p.name: p for p in (*law.params(), *of_noise)}
    for name, prior in priors.items():
        if isinstance(prior, SameAs):
            _check_tie(law, name, prior.name, priors)
        elif prior.unit and params[name].unit not in LEVELS:
            raise OptionError(
                f"{name} is no loss but measured in {params[name].unit}, so that it has no prior in nats. Give one in "
                "units of the table's geometric means."
            )
        elif name in {p.name for p in of_noise} and not _positive(prior):
            raise OptionError(f"{name} of the noise is positive, and its prior {prior} is not. Cut it at 0.")
    if not any(priors.get(p.name, p.prior).free for p in (*law.params(), *noise.params())):
        raise OptionError("every parameter is fixed, so that nothing is left to fit. Leave one of them free.")


def _positive(prior: Prior) -> bool:
    return prior.ends[0] >= 0 if prior.value is None else prior.value > 0


def _check_tie(law: Law, name: str, other: str, priors: Mapping[str, Prior | SameAs]) -> None:
    known = {p.name: p for p in law.params()}
    if name not in known or other not in known or name == other:
        free = ", ".join(each for each in known if each != name)
        raise OptionError(f"{name} cannot be the same as {other}. Choose from {free}.")
    if isinstance(priors.get(other), SameAs):
        raise OptionError(f"{name} is the same as {other}, which is the same as a third. Name that one.")
    theta = {p.name: 0.3 + 0.01 * i for i, p in enumerate(known.values())} | {name: 0.37, other: 0.37}
    units = {x: OTHER.get(x, 10.0 ** (3 + i)) for i, x in enumerate((*law.inputs, "loss"))}
    raw = law.rescale(theta, units)
    if not np.isclose(float(raw[name]), float(raw[other]), rtol=1e-6):
        raise OptionError(
            f"{name} and {other} are measured in {known[name].unit} and {known[other].unit}, so that they cannot be "
            "the same. Tie exponents only."
        )


def check_level(law: Law, priors: Mapping[str, Prior | SameAs], runs: Runs, unit: float) -> None:
    """Raise `OptionError` where a prior puts the law's least loss, such as E, above a loss of the table.

    Parameters
    ----------
    law
        Whose parameters in nats no loss lies below.
    priors
        Unit-free, of those that a user gave.
    runs
        The table.
    unit
        Its mean loss.
    """
    least = float(runs.loss.min())
    for name in (p.name for p in law.params() if p.unit == "nats" and p.name in priors):
        prior = priors[name]
        if not isinstance(prior, Prior):
            continue
        low = middle = prior.value
        if low is None or middle is None:
            low, middle = (float(q) for q in prior.quantile(np.array([0.01, 0.5])))
        if low * unit >= least:
            how = f"has a prior around {middle * unit:.4g}" if prior.free else f"is fixed at {low * unit:.4g}"
            raise OptionError(
                f"{runs.name}: {name} {how}, above the loss {least:.4g} of row {int(runs.loss.argmin()) + 1}, and no "
                f"loss of the law lies below {name}. Give a smaller one; sf.nats(...) gives it in the unit of losses."
            )


def is_repeated(law: Law, name: str, runs: Runs) -> bool:
    """Whether an input that is the same in all runs is one that others exceed: one data set, seen several times."""
    other = law.same_unit.get(name)
    return other is not None and bool((runs[other] > (1 + 1e-6) * runs[name]).any())


def check_design(law: Law, noise: str, free: int, runs: Runs) -> None:
    """Raise `DataError` where runs are fewer than free parameters, or an input is not positive or does not vary."""
    if len(runs) < free:
        raise DataError(
            f"{runs.name}: {len(runs)} runs cannot determine the {free} parameters of the {law.name} law with {noise} "
            "noise. Add runs."
        )
    for name in law.inputs:
        values = np.asarray(runs[name], dtype=float)
        if bad := np.flatnonzero(~(np.isfinite(values) & (values > 0))).tolist():
            raise DataError(f"{runs.name}: row {bad[0] + 1}: {name} is not a positive number. Correct or remove it.")
        if np.ptp(np.log(values)) < 1e-6 and not is_repeated(law, name, runs):
            raise DataError(
                f"{runs.name}: {name} are the same in every run, which hides their effect on the loss. "
                f"Add runs with other {name}."
            )


def noise_of_table(noise: Noise, has_prior: bool, runs: Runs) -> Noise:
    """The noise that a table has: with an error that runs share where it has clusters, and else without.

    Parameters
    ----------
    noise
        That of the model.
    has_prior
        Whether sigma_cluster has a prior of the user's.
    runs
        The table.

    Raises
    ------
    OptionError
        It has, and the table has no clusters; or the noise has no sigma, and the table states errors.
    DataError
        All runs are in one cluster.
    """
    of_runs = of_single_runs(noise)
    if has_prior and not runs.cluster:
        raise OptionError(
            f"{runs.name} has no clusters, so that {SHARED} has no use for a prior. Name the column of the clusters, "
            "as in cluster='run_id' (--cluster), or leave the prior out."
        )
    if (runs.cluster or runs.weight or runs.sd) and "sigma" not in {p.name for p in of_runs.params()}:
        raise OptionError(f"{of_runs.name} noise has no sigma, which cluster, weight and sd take. Use student-t noise.")
    if runs.clusters is not None and not runs.clusters.any():
        raise DataError(
            f"{runs.name}: all runs are in one cluster by {', '.join(runs.cluster)}. Name a column with several values."
        )
    return Clustered(of_runs) if runs.cluster else of_runs
