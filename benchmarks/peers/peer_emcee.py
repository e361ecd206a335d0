"""emcee (Foreman-Mackey et al. 2013, arXiv 1202.3665): scalefit's posterior in raw logarithms, walkers vectorized."""

import numpy as np
from shared import PUBLISHED, Method, Outcome, Task, main, with_derived

WALKERS, STEPS, BURN = 64, 12_000, 2_000
# ln E, ln A, ln B, ln alpha, ln beta, ln sigma, ln nu: where the walkers start, and how far around.
START = [*np.log(list(PUBLISHED.values())), np.log(0.004), np.log(3.0)]
SPREAD = 1e-2


def log_density(p: np.ndarray, task: Task) -> np.ndarray:
    """ln posterior of (walker, 7) parameters: scalefit's priors and Student-t noise, up to a constant."""
    from scipy.special import gammaln

    e, a, b, alpha, beta, sigma, nu = p[:, 0], p[:, 1], p[:, 2], *np.exp(p[:, 3:].T)
    half, inner = (nu + 1) / 2, np.exp(b[:, None] - beta[:, None] * task.tokens)
    law = np.exp(e)[:, None] + np.exp(a[:, None] - alpha[:, None] * task.params) + inner
    z = (np.log(law) - task.loss) / sigma[:, None]
    scale = gammaln(half) - gammaln(nu / 2) - 0.5 * np.log(nu) - p[:, 5]
    likelihood = len(task.loss) * scale - half * np.log1p(z**2 / nu[:, None]).sum(axis=1)
    return np.nan_to_num(likelihood + log_prior(p, task), nan=-np.inf)


def log_prior(p: np.ndarray, task: Task) -> np.ndarray:
    """scalefit's priors in these coordinates: ln A less alpha ln N0 is normal, and the shear has a Jacobian of one."""
    level = task.loss.mean()
    alpha, beta = np.exp(p[:, 3]), np.exp(p[:, 4])
    logs = [p[:, 0] - level, p[:, 1] - level - alpha * task.params.mean(), p[:, 2] - level - beta * task.tokens.mean()]
    centre, width = np.log([0.6, 0.2, 0.2, 0.3, 0.3]), np.array([0.4, 1.0, 1.0, 0.5, 0.5])
    normal = -0.5 * (((np.stack([*logs, p[:, 3], p[:, 4]], axis=1) - centre) / width) ** 2).sum(axis=1)
    # sigma ~ HalfNormal(0.05) and nu ~ Gamma(2, 0.1), with the Jacobians of their logarithms.
    return normal + p[:, 5] - 0.5 * (np.exp(p[:, 5]) / 0.05) ** 2 + 2 * p[:, 6] - 0.1 * np.exp(p[:, 6])


def sample(task: Task) -> Outcome:
    """64 walkers from a ball around the published optimum; effective sample size from the autocorrelation time."""
    import emcee
    import scipy.special  # noqa: F401

    rng = np.random.default_rng(1)
    start = np.array(START) + SPREAD * rng.standard_normal((WALKERS, len(START)))
    sampler = emcee.EnsembleSampler(WALKERS, len(START), log_density, args=(task,), vectorize=True)
    sampler.random_state = np.random.RandomState(1).get_state()
    task.done("setup")
    sampler.run_mcmc(start, STEPS)
    task.done("run")
    chain = sampler.get_chain(discard=BURN)
    draws = _named(chain)
    every = np.stack(list(with_derived(draws).values()), axis=-1)
    tau = float(emcee.autocorr.integrated_time(every, quiet=True).max())
    kept = {name: values[::10].T for name, values in draws.items()}
    return Outcome(kept, ess=WALKERS * len(chain) / tau, notes=f"longest autocorrelation time {tau:.0f} steps")


def _named(chain: np.ndarray) -> dict[str, np.ndarray]:
    """Raw parameters, each (step, walker)."""
    return dict(zip(("E", "A", "B", "alpha", "beta", "sigma", "nu"), np.exp(np.moveaxis(chain, -1, 0)), strict=True))


METHODS = {
    "64 walkers": Method(
        "posterior",
        "scalefit's model and priors in logarithms of the raw parameters; affine-invariant ensemble, 64 walkers, "
        "10,000 steps after 2,000, density vectorized over walkers; ESS from the longest autocorrelation time",
        sample,
    )
}

if __name__ == "__main__":
    main(__file__, METHODS, ("emcee", "numpy", "scipy"))
