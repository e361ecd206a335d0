"""NumPyro as a user would write it in an afternoon: raw coordinates, vague priors, NUTS as it comes."""

from shared import Method, Outcome, Task, main

NAMES = ("E", "A", "B", "alpha", "beta", "sigma", "nu")


def sample(task: Task, x64: bool) -> Outcome:
    """Four chains of 1,000 draws after 1,000 of warm-up, twice with one seed: the second time all is compiled."""
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    numpyro.enable_x64(x64)
    n, d, log_loss = (jnp.asarray(values) for values in (task.params, task.tokens, task.loss))

    def model():
        level = numpyro.sample("E", dist.HalfNormal(3.0))
        log_a, log_b = (numpyro.sample(name, dist.Normal(0.0, 10.0)) for name in ("logA", "logB"))
        alpha, beta = (numpyro.sample(name, dist.HalfNormal(1.0)) for name in ("alpha", "beta"))
        sigma, nu = numpyro.sample("sigma", dist.HalfNormal(0.1)), numpyro.sample("nu", dist.Gamma(2.0, 0.1))
        law = level + jnp.exp(log_a - alpha * n) + jnp.exp(log_b - beta * d)
        numpyro.sample("log_loss", dist.StudentT(nu, jnp.log(law), sigma), obs=log_loss)

    return _run(task, numpyro.infer.MCMC, numpyro.infer.NUTS(model))


def _run(task: Task, mcmc_type, kernel) -> Outcome:
    """Sample; A and B are exponentials of what was sampled."""
    import jax
    import numpy as np

    mcmc = mcmc_type(kernel, num_warmup=1000, num_samples=1000, num_chains=4, chain_method="vectorized")
    mcmc.progress_bar = False

    def fit(seed: int) -> dict:
        mcmc.run(jax.random.PRNGKey(seed))
        return jax.device_get(mcmc.get_samples(group_by_chain=True))

    draws = {name: np.asarray(values, dtype=float) for name, values in task.twice(lambda _: fit(1)).items()}
    draws |= {"A": np.exp(draws["logA"]), "B": np.exp(draws["logB"])}
    diverging = int(mcmc.get_extra_fields()["diverging"].sum())
    return Outcome({name: draws[name] for name in NAMES}, notes=f"{diverging} divergences")


MODEL = (
    "Student-t noise, raw coordinates, vague priors (ln A, ln B ~ N(0, 10), half-normal E, alpha, beta, sigma): a "
    "wider posterior than the reference; default NUTS, diagonal metric, 4 vectorized chains of 1,000 draws, 1,000 "
    "warm-up"
)
METHODS = {
    "naive, float32": Method("posterior", f"{MODEL}; JAX's default precision", lambda task: sample(task, False)),
    "naive, float64": Method("posterior", f"{MODEL}; double precision", lambda task: sample(task, True)),
}

if __name__ == "__main__":
    main(__file__, METHODS, ("numpyro", "jax", "numpy"))
