"""The choice among paths on which the loss falls."""

import numpy as np

from scalefit.sampling.monotone import spread_evenly


def test_every_path_is_chosen_as_often_as_any_other():
    answers = np.random.default_rng(0).normal(size=(300, 12)) * np.geomspace(1, 0.01, 12)
    chosen = [spread_evenly(answers, 100, np.random.default_rng(seed)) for seed in range(1000)]
    often = np.bincount(np.concatenate(chosen), minlength=300)
    # Each is in a choice with probability 1/3; no count of 300 is this far off but one time in ten thousand.
    assert np.abs(often - 1000 / 3).max() < 5.0 * np.sqrt(1000 * (1 / 3) * (2 / 3))


def test_the_chosen_stand_for_all_better_than_as_many_drawn_freely():
    rng = np.random.default_rng(1)
    answers = np.linspace(0, 1, 8) * rng.standard_t(4, size=(4000, 1)) + 0.05 * rng.normal(size=(4000, 8))

    def error(choose):
        means = [answers[choose(np.random.default_rng(seed))].mean(axis=0) for seed in range(100)]
        return np.std(means, axis=0).max()

    freely = error(lambda rng: rng.choice(4000, 1000, replace=False))
    assert error(lambda rng: spread_evenly(answers, 1000, rng)) < 0.5 * freely


def test_fewer_paths_than_are_chosen_are_repeated_alike():
    chosen = spread_evenly(np.arange(12.0).reshape(3, 4), 10, np.random.default_rng(2))
    assert np.bincount(chosen).tolist() in [[3, 3, 4], [3, 4, 3], [4, 3, 3]]
