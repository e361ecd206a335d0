import pickle

import numpy as np
import pytest

import scalefit as sf

COLUMNS = {"params": [1e8, 2e8, 4e8], "tokens": [2e9, 4e9, 8e9], "loss": [3.0, 2.8, 2.6]}


def test_runs_are_frozen_floats():
    runs = sf.Runs({**COLUMNS, "params": [10**8, 2 * 10**8, 4 * 10**8]})
    assert len(runs) == 3
    assert runs.params.dtype == float
    with pytest.raises(ValueError, match="read-only"):
        runs.loss[0] = 1.0
    with pytest.raises(TypeError):
        runs.columns["loss"] = runs.loss


def test_compute_never_wraps_around():
    runs = sf.Runs({"params": np.array([10**11]), "tokens": np.array([10**13]), "loss": [1.9]})
    assert runs.flops[0] == pytest.approx(6e24)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [("loss", np.nan, "missing"), ("loss", np.inf, "infinite"), ("params", 0, "not positive"), ("tokens", -5, "-5")]
    + [("loss", 65.2, "percentage")],
)
def test_every_kind_of_bad_cell_is_named_by_row(column, value, words):
    bad = {**COLUMNS, column: [COLUMNS[column][0], value, COLUMNS[column][2]]}
    with pytest.raises(sf.DataError, match=f"row 2: {column} .*{words}"):
        sf.Runs(bad)


def test_all_bad_rows_come_in_one_message():
    with pytest.raises(sf.DataError, match="2 bad row.*row 1: loss.*row 3: params"):
        sf.Runs({**COLUMNS, "loss": [np.nan, 2.8, 2.6], "params": [1e8, 2e8, -1]})


def test_empty_ragged_or_lossless_tables_are_refused():
    for columns in ({"params": [], "tokens": [], "loss": []}, {"params": [1e8], "tokens": [1e9]}):
        with pytest.raises(sf.DataError, match="no runs"):
            sf.Runs(columns)
    with pytest.raises(sf.DataError, match="length"):
        sf.Runs({**COLUMNS, "loss": [3.0]})


def test_a_missing_column_is_named():
    with pytest.raises(sf.DataError, match="'tokens'"):
        _ = sf.Runs({"params": [1e8], "loss": [3.0]}).tokens


def test_fingerprint_depends_on_values_only():
    runs = sf.Runs(COLUMNS)
    assert runs.fingerprint == sf.Runs(dict(reversed(COLUMNS.items())), name="other").fingerprint
    assert runs.fingerprint != sf.Runs({**COLUMNS, "loss": [3.0, 2.8, 2.6000001]}).fingerprint
    assert runs.fingerprint != sf.Runs({**COLUMNS, "group": ["a", "b", "c"]}).fingerprint


def test_split_keeps_every_run_once():
    small, large = sf.Runs(COLUMNS).split(np.array([True, False, True]))
    assert small.params.tolist() == [1e8, 4e8]
    assert large.params.tolist() == [2e8]


def test_runs_can_be_pickled_and_hold_only_numbers_and_text():
    runs = sf.Runs({**COLUMNS, "when": np.array(["2024-01-01", "2024-01-02", None], dtype=object)})
    back = pickle.loads(pickle.dumps(runs))
    assert back.fingerprint == runs.fingerprint
    assert runs["when"].dtype.kind == "U"
    with pytest.raises(sf.DataError, match="type"):
        sf.Runs({**COLUMNS, "loss": ["3", "2.8", "2.6"]})


def test_masked_values_are_missing():
    with pytest.raises(sf.DataError, match="row 2: tokens.*missing"):
        sf.Runs({**COLUMNS, "tokens": np.ma.masked_array([1, 2, 3], [False, True, False])})
    with pytest.raises(sf.DataError, match="type"):
        sf.Runs({**COLUMNS, "tokens": np.array([1, 2, 3], "timedelta64[s]")})
