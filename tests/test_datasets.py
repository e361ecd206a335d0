import numpy as np
import pandas as pd
import pytest

import scalefit as sf


def test_chinchilla_240_and_245():
    assert len(sf.datasets.load("chinchilla")) == 240
    every = sf.datasets.load("chinchilla", outliers="keep")
    assert len(every) == 245
    dropped = every.subset(every["outlier"] == 1)
    assert set(dropped.loss) == set(np.sort(every.loss)[-5:])
    assert (dropped.tokens / dropped.params).max() < 0.41


def test_repeated_data_is_the_official_fit_set():
    assert len(sf.datasets.load("repeated_data")) == 182
    assert len(sf.datasets.load("repeated_data", outliers="keep")) == 309


def test_published_allocations_are_no_runs():
    assert len(pd.read_csv(sf.datasets.path("hoffmann_tables"))) == 9
    with pytest.raises(sf.DataError, match="not runs"):
        sf.datasets.load("hoffmann_tables")


def test_every_table_has_its_provenance():
    about = (sf.datasets.path("chinchilla").parent / "README.md").read_text()
    for entry in sf.datasets.CATALOGUE:
        assert sf.datasets.path(entry.name).is_file()
        assert entry.source
        assert entry.licence
        assert f"`{entry.name}.csv`" in about


def test_unknown_names_are_refused_with_the_list():
    with pytest.raises(sf.errors.OptionError, match="choose from chinchilla"):
        sf.datasets.load("nope")
    with pytest.raises(sf.OptionError, match="'drop' or 'keep'"):
        sf.datasets.load("chinchilla", outliers="both")
