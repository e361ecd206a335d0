"""NumPyro's NUTS (Hoffman and Gelman 2014, arXiv 1111.4246) for chains of flat vectors that advance together."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt32


class Transition(NamedTuple):
    """What is kept of one transition of every chain."""

    position: Float[Array, "chain dim"]
    diverging: Bool[Array, " chain"]
    energy: Float[Array, " chain"]
    num_steps: Int[Array, " chain"]
    accept_prob: Float[Array, " chain"]


class NutsKernel(NamedTuple):
    """Pure functions of arrays, of which `init` is to be traced first.

    Parameters
    ----------
    init
        (positions, keys, *args) to the state of the chains: one position (dim,) and one key a chain.
    advance
        (state, count, *args) to the state after `count` transitions, and these stacked.
    """

    init: Callable[..., Any]
    advance: Callable[..., tuple[Any, Transition]]


def nuts_kernel(
    potential: Callable[..., Array], warmup: int, target_accept: float, max_tree_depth: int = 10
) -> NutsKernel:
    """NUTS with a dense metric, which like the step size is tuned over the first `warmup` transitions.

    Parameters
    ----------
    potential
        Minus the log density, (), of `(*args, position)`, position (dim,); args are trees of arrays, those that `init`
        and `advance` are given.
    warmup
        Transitions of adaptation; they are kept too.
    target_accept
        Acceptance probability that the step size is tuned to.
    max_tree_depth
        At most 2^max_tree_depth - 1 leapfrog steps a transition.

    Returns
    -------
    NutsKernel
        Its functions share what NumPyro keeps of the set-up, which `advance` needs.
    """
    from numpyro.infer.hmc import hmc

    begin, move = hmc(potential_fn_gen=lambda *args: partial(potential, *args), algo="NUTS")

    def init(positions: Float[Array, "chain dim"], keys: UInt32[Array, "chain 2"], *args: Any) -> Any:
        def one(position: Float[Array, " dim"], key: PRNGKeyArray) -> Any:
            return begin(
                position,
                warmup,
                dense_mass=True,
                target_accept_prob=target_accept,
                max_tree_depth=max_tree_depth,
                model_args=args,
                rng_key=key,
            )

        return jax.vmap(one)(positions, keys)

    def advance(state: Any, count: int, *args: Any) -> tuple[Any, Transition]:
        def step(state: Any, _: None) -> tuple[Any, Transition]:
            state = jax.vmap(lambda chain: move(chain, args, {}))(state)
            return state, Transition(state.z, state.diverging, state.energy, state.num_steps, state.accept_prob)

        return jax.lax.scan(step, state, None, length=count)

    return NutsKernel(init, advance)
