"""Tools that every floor shares."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scalefit._batching import GROUP, by_groups
from scalefit._roots import find_root


@pytest.mark.parametrize("count", [1, GROUP - 1, GROUP, 2 * GROUP + 5])
def test_groups_give_what_all_at_once_give(count):
    rng = np.random.default_rng(0)
    tree = {"own": jnp.asarray(rng.normal(size=(count, 3))), "shared": jnp.arange(3.0)}
    axes = ({"own": 0, "shared": None}, 0, None)
    args = (tree, jnp.asarray(rng.normal(size=count)), jnp.asarray(0.5))

    def f(tree, own, shared):
        return {"sum": (tree["own"] * tree["shared"]).sum() + own * shared, "place": tree["own"] - shared}

    jax.tree.map(np.testing.assert_array_equal, by_groups(f, axes)(*args), jax.vmap(f, axes)(*args))


def test_a_root_is_that_of_its_bracket_or_the_nearer_end():
    with jax.enable_x64(True):
        root = lambda wanted: find_root(lambda u: (wanted - u**3, -3 * u**2), *jnp.asarray([0.0, 2.0, 0.1]))
        found = by_groups(root, (0,))(jnp.asarray([-1.0, 1e-3, 1.0, 7.9, 20.0, np.nan]))
    np.testing.assert_allclose(found, [0.0, 0.1, 1.0, 7.9 ** (1 / 3), 2.0, np.nan], atol=1e-12)
