"""Chunks and padding change nothing but the number of programs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scalefit._batching import GROUP, by_groups, chunks, in_chunks, padded_rows


@pytest.mark.parametrize(("count", "padded"), [(1, 4), (4, 4), (5, 8)])
def test_padding_repeats_the_last_row_up_to_whole_steps(count, padded):
    rows = padded_rows(count, 4)
    np.testing.assert_array_equal(rows, [*range(count), *[count - 1] * (padded - count)])


@pytest.mark.parametrize(("count", "size"), [(1, 3), (6, 3), (7, 3), (0, 3)])
def test_chunks_are_all_indices_once(count, size):
    parts = list(chunks(count, size))
    assert [index for part in parts for index in part] == list(range(count))
    assert all(len(part) == size for part in parts[:-1])


@pytest.mark.parametrize("count", [1, 3, 6, 7])
@pytest.mark.parametrize("axis", [0, 1])
def test_in_chunks_is_the_call_on_all(count, axis):
    rng, shapes, reports = np.random.default_rng(0), set(), []
    rows = {"a": rng.normal(size=(count, 2)), "b": jnp.asarray(rng.normal(size=count))}

    def f(rows):
        shapes.add(rows["a"].shape)
        table = rows["a"].sum(1)[:, None] * np.arange(4.0) + rows["b"][:, None]
        return table if axis == 0 else {"table": table.T}

    found = in_chunks(f, rows, 3, axis=axis, report=lambda done, total: reports.append((done, total)))
    assert shapes == {(3, 2)}
    assert reports == [(min(done, count), count) for done in range(3, count + 3, 3)]
    jax.tree.map(np.testing.assert_array_equal, found, f(jax.tree.map(np.asarray, rows)))
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(found))


@pytest.mark.parametrize("count", [1, GROUP - 1, GROUP, 2 * GROUP + 5])
def test_groups_give_what_all_at_once_give(count):
    rng = np.random.default_rng(0)
    tree = {"own": jnp.asarray(rng.normal(size=(count, 3))), "shared": jnp.arange(3.0)}
    axes = ({"own": 0, "shared": None}, 0, None)
    args = (tree, jnp.asarray(rng.normal(size=count)), jnp.asarray(0.5))

    def f(tree, own, shared):
        return {"sum": (tree["own"] * tree["shared"]).sum() + own * shared, "place": tree["own"] - shared}

    jax.tree.map(np.testing.assert_array_equal, by_groups(f, axes)(*args), jax.vmap(f, axes)(*args))


def test_groups_take_numpy_arrays_inside_a_program():
    """As shares of draws are on tables of more than 262 runs, whose draws go in groups."""
    add = jax.jit(lambda x: by_groups(lambda a, b: a + b, size=3)(x, np.arange(7.0)))
    np.testing.assert_array_equal(add(np.arange(7.0)), 2 * np.arange(7.0))
