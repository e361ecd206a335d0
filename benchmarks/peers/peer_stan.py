"""Stan through pystan: scalefit's model, written by hand in centred coordinates as an expert would."""

from shared import Method, Outcome, Task, main

NAMES = ("E", "A", "B", "alpha", "beta", "sigma", "nu")
CHAINS, DRAWS = 4, 1000
PROGRAM = """
data {
  int n;
  vector[n] params;
  vector[n] tokens;
  vector[n] log_loss;
}
parameters {
  real<lower=0> E;
  real<lower=0> A;
  real<lower=0> B;
  real<lower=0> alpha;
  real<lower=0> beta;
  real<lower=0> sigma;
  real<lower=0> nu;
}
model {
  E ~ lognormal(log(0.6), 0.4);
  A ~ lognormal(log(0.2), 1);
  B ~ lognormal(log(0.2), 1);
  alpha ~ lognormal(log(0.3), 0.5);
  beta ~ lognormal(log(0.3), 0.5);
  sigma ~ normal(0, 0.05);
  nu ~ gamma(2, 0.1);
  log_loss ~ student_t(nu, log(E + A * exp(-alpha * params) + B * exp(-beta * tokens)), sigma);
}
"""


def sample(task: Task) -> Outcome:
    """Compile the program, then four chains of 1,000 draws after 1,000 of warm-up."""
    import stan

    n, d, log_loss = (values.tolist() for values in task.centred())
    data = {"n": len(n), "params": n, "tokens": d, "log_loss": log_loss}
    model = stan.build(PROGRAM, data=data, random_seed=1)
    task.done("setup")
    found = model.sample(num_chains=CHAINS, num_samples=DRAWS, num_warmup=1000)
    task.done("run")
    # pystan keeps draws as (parameter, draw x chain), the chain running fastest.
    draws = {name: found[name].reshape(DRAWS, CHAINS).T for name in NAMES}
    return Outcome(task.to_raw(draws), notes=f"{int(found['divergent__'].sum())} divergences")


METHODS = {
    "NUTS": Method(
        "posterior",
        "scalefit's model and priors, centred by hand; pystan's only sampler, diagonal metric, 4 chains of 1,000 "
        "draws, 1,000 warm-up",
        sample,
    )
}

if __name__ == "__main__":
    main(__file__, METHODS, ("pystan", "httpstan"))
