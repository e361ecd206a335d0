"""Many processes, one folder: the same file whatever the split, and one sentence for each way to misuse it."""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from conftest import simulated

import scalefit as sf
from scalefit.infer import _devices, batch

POINT = {"engine": sf.MAP(), "health": False}
BAD = {"params": [1e9, 2e9], "tokens": [2e10, 4e10], "loss": [3.0, 2.9]}
TABLES = {f"sweep {i}": BAD if i == 3 else simulated(seed=i, sizes=6 + i) for i in range(5)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The merged file of one process, draws kept; and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    sf.fit_many(TABLES, folder=folder, **POINT)
    return sf.merge(folder), folder


def test_shards_in_any_order_give_the_bytes_of_one_process(whole, tmp_path):
    for shard in ("2/3", "1/3", "1/3", "3/3"):  # one of them twice
        found = sf.fit_many(TABLES, folder=tmp_path, shard=shard, keep_draws=False, chunk=1, **POINT)
        assert found.indices == [*range(int(shard[0]) - 1, 5, 3)]
    assert sf.merge(tmp_path).read_bytes() == whole[0].read_bytes()
    assert not list(tmp_path.glob("*.nc"))
    assert set(sf.load(tmp_path).failures) == {3}


def test_shards_of_another_count_join_a_folder(whole, tmp_path):
    """The chunk is that of whoever came first."""
    given = {"folder": tmp_path, "keep_draws": False, **POINT}
    sf.fit_many(TABLES, shard="1/3", chunk=2, **given)
    sf.fit_many(TABLES, **given)
    assert len(list(tmp_path.glob("rows-*.parquet"))) == 3
    assert sf.merge(tmp_path, tmp_path / "all.parquet").read_bytes() == whole[0].read_bytes()


def test_a_row_has_what_the_fit_has(whole):
    table, fits = pd.read_parquet(whole[0]), sf.load(whole[1])
    assert list(table["table"]) == [0, 1, 2, 3, 4]
    assert list(table["name"]) == list(TABLES)
    assert table["failure"].notna().tolist() == [False, False, False, True, False]
    assert "2 runs cannot determine" in table["failure"][3]
    for i, fit in fits.fitted():
        assert table["seed"][i] == fit.seed
        assert table["fingerprint"][i] == fit.runs.fingerprint
        assert table["E_median"][i] == fit.draws["E"].item()
        assert table["a_median"][i] == fit.law_derived["a"].item()
    assert table["E_lower_90"].isna().all(), "one draw has no interval"


def test_rows_and_draws_give_one_summary(quick, tmp_path):
    """Of a posterior, with an optimum; and its health, ESS and Pareto k."""
    tables = [TABLES["sweep 4"], BAD]
    asked = {"budgets": [1e22], "discrepancy": False}
    memory = sf.fit_many(tables, engine=quick)
    kept = sf.fit_many(tables, engine=quick, folder=tmp_path, keep_draws=False, **asked)
    for prob in (0.5, 0.9):
        expected, found = memory.summary(prob, **asked), kept.summary(prob, **asked)
        pd.testing.assert_frame_equal(found[expected.columns], expected)
        assert "sigma_cluster" not in found, "no runs share errors"
    row, fit = pd.read_parquet(sf.merge(tmp_path)).iloc[0], memory[0]
    checks = {check.name: check for check in fit.health.checks}
    assert row["verdict"] == fit.health.verdict
    assert row["checks"] == ", ".join(name for name, check in checks.items() if check.verdict != "ok")
    assert row["ess"] == min(checks["bulk ESS"].value, checks["tail ESS"].value)
    assert row["pareto_k"] == checks["Pareto k"].value
    assert row["name"] == "simulated"
    with pytest.raises(sf.StorageError, match="draws of these fits were not kept"):
        kept[0]
    with pytest.raises(sf.StorageError, match="not kept"):
        kept.summary(prob=0.8)


def test_rows_are_made_of_draws_where_a_process_ended_between_them(whole, tmp_path):
    sf.fit_many(TABLES, folder=tmp_path, chunk=3, **POINT)
    (tmp_path / "rows-000001.parquet").unlink()
    resumed = sf.fit_many(TABLES, folder=tmp_path, chunk=3, **POINT)
    assert sf.merge(tmp_path).read_bytes() == whole[0].read_bytes()
    assert resumed.summary()["E", "median"].notna().sum() == 4


def test_a_folder_of_another_run_is_one_sentence(whole, tmp_path):
    kept = {"folder": whole[1], **POINT}
    others = {
        "tables of other names": ({f"_{name}": table for name, table in TABLES.items()}, {}),
        "draws": (TABLES, {"keep_draws": False}),
        "health": (TABLES, {"health": True}),
        "budgets": (TABLES, {"budgets": [1e22]}),
        "tables 5, not 1": ({"sweep 1": TABLES["sweep 1"]}, {}),
    }
    for words, (tables, options) in others.items():
        with pytest.raises(sf.StorageError, match=words):
            sf.fit_many(tables, **{**kept, **options})


@pytest.mark.parametrize("name", ["batch.json", "rows-000000.parquet"])
def test_what_is_damaged_is_named(name, tmp_path):
    sf.fit_many(TABLES, folder=tmp_path, keep_draws=False, **POINT)
    content = (tmp_path / name).read_bytes()
    for damaged in (content[:200], content.replace(b"sweep 1", b"sweep 7"), b""):
        if damaged != content:
            (tmp_path / name).write_bytes(damaged)
            with pytest.raises(sf.StorageError, match=f"{name}.*remove it"):
                sf.merge(tmp_path)


def test_rows_do_not_change_places(tmp_path):
    sf.fit_many(TABLES, folder=tmp_path, keep_draws=False, chunk=1, **POINT)
    (tmp_path / "rows-000001.parquet").write_bytes((tmp_path / "rows-000000.parquet").read_bytes())
    with pytest.raises(sf.StorageError, match="another number"):
        sf.merge(tmp_path)


def test_no_shard_is_left_without_tables_and_no_group_half_full():
    for tables, shards in ((10_000, 64), (100, 64), (9, 2), (10**6, 4)):
        chunk = batch.usual_chunk(tables, shards)
        assert chunk % batch.LANES["cpu"] == 0
        assert chunk <= batch.usual_chunk()
        assert -(-tables // chunk) >= min(0.9 * shards, tables / batch.LANES["cpu"])


def test_an_accelerator_with_little_free_memory_is_given_a_group_at_a_time(monkeypatch):
    """Fewer lanes would round otherwise; fewer groups only wait."""

    @dataclass
    class Device:
        used: int

        def memory_stats(self):
            return {"bytes_limit": 16_000, "bytes_in_use": self.used}

    monkeypatch.setattr(_devices, "is_cpu", lambda: False)
    at_once = lambda *used: _devices.at_once([Device(bytes) for bytes in used], 4000)
    assert at_once(0, 1000) == 2 * _devices.AHEAD
    assert at_once(0, 10_000) == 2
    assert at_once(16_000) == 1


@pytest.mark.parametrize("shard", ["0/4", "5/4", "/4", "4", "1/0", "-1/4", "one/4", "1/4/2"])
def test_what_is_no_shard_is_refused(shard, tmp_path):
    with pytest.raises(sf.OptionError, match="k from 1 to n"):
        sf.fit_many(TABLES, folder=tmp_path, shard=shard, **POINT)
    assert not list(tmp_path.iterdir())


def test_nonsense_is_refused(tmp_path):
    with pytest.raises(sf.OptionError, match="folder"):
        sf.fit_many(TABLES, shard="1/2", **POINT)
    with pytest.raises(sf.OptionError, match="generator"):
        sf.fit_many((table for table in TABLES.values()), **POINT)
    with pytest.raises(sf.QuestionError, match="no allocation"):
        sf.fit_many(TABLES, sf.Model("kaplan-n"), budgets=[1e22], **POINT)
    with pytest.raises(sf.StorageError, match="no fits"):
        sf.merge(tmp_path)
    sf.fit_many(TABLES, folder=tmp_path, shard="1/2", chunk=1, **POINT)
    with pytest.raises(sf.StorageError, match="lacks 2 of 5 chunks"):
        sf.merge(tmp_path)


@pytest.fixture
def sweeps(tmp_path):
    """Three good files, one bad and no table; and the good ones as one table."""
    (tmp_path / "sweeps").mkdir()
    good = {f"{name}.csv": simulated(seed=i, sizes=6) for i, name in enumerate("cab")}
    frames = {name: pd.DataFrame({k: table[k] for k in ("params", "tokens", "loss")}) for name, table in good.items()}
    for name, frame in frames.items():
        frame.to_csv(tmp_path / "sweeps" / name, index=False)
    (tmp_path / "sweeps" / "bad.csv").write_text("params,tokens,loss\n1e9,2e10,low\n")
    (tmp_path / "sweeps" / "README.md").write_text("Sweeps of 2026.")
    pd.concat([frame.assign(corpus=name) for name, frame in frames.items()]).to_csv(tmp_path / "all.csv", index=False)
    return tmp_path


def test_tables_are_found_by_name(sweeps):
    folder, parts = sf.tables_in(sweeps / "sweeps"), sf.tables_in(sweeps / "all.csv", by="corpus")
    assert list(folder) == ["a.csv", "b.csv", "bad.csv", "c.csv"]
    assert list(parts) == ["a.csv", "b.csv", "c.csv"]
    assert len(sf.tables_in(str(sweeps / "sweeps" / "[ab].csv"))) == 2
    for name in parts:
        np.testing.assert_array_equal(parts[name].loss, folder[name].loss)
        assert folder[name].name == name
    with pytest.raises(sf.DataError, match="bad.csv"):
        folder["bad.csv"]
    with pytest.raises(sf.OptionError, match="one table"):
        sf.tables_in(sweeps / "all.csv")
    with pytest.raises(sf.DataError, match="no column 'corpora', only params"):
        sf.tables_in(sweeps / "all.csv", by="corpora")
    for nothing in ("nowhere", "*.xlsx"):
        with pytest.raises(sf.DataError):
            sf.tables_in(str(sweeps / nothing))


def test_the_command_line_fits_shards_and_merges_them(run, sweeps):
    out, options = sweeps / "sweeps" / "fits", ["--engine", "map", "--json"]
    for shard in ("1/2", "2/2"):  # the folder of results lies among the tables
        code, said, _ = run("fit-many", sweeps / "sweeps", "-o", out, "--shard", shard, *options)
        assert code == 0
        assert json.loads(said)["shard"] == shard
    code, said, _ = run("merge", out, "--json")
    document = json.loads(said)
    assert (code, document["tables"]) == (0, 4)
    assert [failure["name"] for failure in document["failures"]] == ["bad.csv"]
    assert sum(document["verdicts"].values()) == 3
    code, said, _ = run("merge", out, "-o", sweeps / "all.parquet")
    assert code == 0
    assert "3 fits" in " ".join(said.split())
    rows = [pd.read_parquet(path) for path in (sweeps / "all.parquet", out / "summary.parquet")]
    pd.testing.assert_frame_equal(*rows)


def test_the_command_line_refuses_in_one_sentence(run, sweeps):
    (sweeps / "empty").mkdir()
    wrong = {
        "no table in it": ["fit-many", sweeps / "empty"],
        "k from 1 to n": ["fit-many", sweeps / "sweeps", "--shard", "/64"],
        "one table": ["fit-many", sweeps / "all.csv"],
        "of the engine auto": ["fit-many", sweeps / "sweeps", "--quick", "--engine", "map"],
        "no fits": ["merge", sweeps / "empty"],
        "it is a folder": ["merge", sweeps / "empty", "-o", sweeps],
    }
    for words, command in wrong.items():
        code, out, err = run(*command)
        assert (code, out) == (2, ""), err
        assert words in err
        assert len(err.splitlines()) == 1


def test_no_fit_at_all_is_a_failure(run, sweeps):
    for name in "abc":
        (sweeps / "sweeps" / f"{name}.csv").unlink()
    code, out, _ = run("fit-many", sweeps / "sweeps", "-o", sweeps / "fits", "--engine", "map")
    assert code == 1
    assert "bad.csv" in out
    assert run("merge", sweeps / "fits")[0] == 1
