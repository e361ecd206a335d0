import json
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest

import scalefit as sf
from scalefit.diagnostics.rows import check_rows
from scalefit.io import cells

TABLE = {"params": [1e8, 2e8, 4e8], "tokens": [2e9, 4e9, 8e9], "loss": [3.0, 2.8, 2.6]}


def write(tmp_path, text, name="runs.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "names", [("N", "D", "loss"), ("n_params", "n_tokens", "val_loss"), ("Model Size", "D", "Loss")]
)
def test_common_names_are_recognised(names):
    runs = sf.read_runs(dict(zip(names, TABLE.values(), strict=True)))
    np.testing.assert_array_equal(runs.params, TABLE["params"])
    np.testing.assert_array_equal(runs.tokens, TABLE["tokens"])
    np.testing.assert_array_equal(runs.loss, TABLE["loss"])


def test_every_source_gives_the_same_runs(tmp_path):
    frame = pd.DataFrame(TABLE)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "a.parquet")
    sources = [TABLE, frame, pl.DataFrame(TABLE), *(tmp_path / f"a.{kind}" for kind in ("csv", "tsv", "parquet"))]
    assert len({sf.read_runs(source).fingerprint for source in sources}) == 1
    runs = sf.read_runs(TABLE)
    assert sf.read_runs(runs) is runs


def test_counts_may_be_written_as_people_do(tmp_path):
    path = write(tmp_path, "N,D,loss\n70B,1.4T,1.94\n280B,300B,1.99\n1e9,2e10,2.9\n")
    np.testing.assert_allclose(sf.read_runs(path).params, [70e9, 280e9, 1e9])


def test_two_candidates_are_an_error_that_names_them():
    with pytest.raises(sf.DataError, match="'loss' and 'val_loss'"):
        sf.read_runs({**TABLE, "val_loss": TABLE["loss"]})


def test_an_argument_decides_between_candidates():
    runs = sf.read_runs({**TABLE, "val_loss": [3.1, 2.9, 2.7]}, loss="val_loss")
    assert runs.loss.tolist() == [3.1, 2.9, 2.7]


def test_any_column_can_be_mapped():
    runs = sf.read_runs({"a": TABLE["params"], "b": TABLE["tokens"], "c": TABLE["loss"], "U": [1e9] * 3},
                        params="a", tokens="b", loss="c", unique_tokens="U")  # fmt: skip
    assert runs["unique_tokens"].tolist() == [1e9] * 3


def test_a_mapping_to_a_column_that_is_not_there():
    with pytest.raises(sf.DataError, match="'nope'.*only params, tokens, loss"):
        sf.read_runs(TABLE, loss="nope")


def test_a_column_cannot_be_two_quantities():
    with pytest.raises(sf.DataError, match="Map it once"):
        sf.read_runs(TABLE, params="loss", loss="loss")


def test_no_loss_column_is_said():
    with pytest.raises(sf.DataError, match="sz, tokens.*--loss"):
        sf.read_runs({"sz": [1e8], "tokens": [1e9]}, params="sz")


@pytest.mark.parametrize(("column", "word"), [("ppl", "logarithm"), ("val_acc", "accuracy")])
def test_a_column_of_another_metric_is_no_loss(column, word):
    with pytest.raises(sf.DataError, match=word):
        sf.read_runs({"N": [1e8, 2e8], "D": [1e9, 2e9], column: [8.1, 9.2]}, loss=column)


@pytest.mark.parametrize("absent", ["params", "tokens", "flops"])
def test_two_of_three_give_the_third_and_say_so(absent):
    full = {**TABLE, "flops": [6 * n * d for n, d in zip(TABLE["params"], TABLE["tokens"], strict=True)]}
    runs = sf.read_runs({name: values for name, values in full.items() if name != absent})
    np.testing.assert_allclose(runs[absent], full[absent], rtol=1e-15)
    assert "6 N D" in runs.notes[0]
    assert absent in runs.notes[0]


def test_compute_far_from_6nd_is_said():
    flops = [6 * n * d for n, d in zip(TABLE["params"], TABLE["tokens"], strict=True)]
    assert not sf.read_runs({**TABLE, "flops": [1.7 * c for c in flops]}).notes
    (note,) = sf.read_runs({**TABLE, "flops": [flops[0], 3 * flops[1], flops[2]]}).notes
    assert "3 to 3 times 6 N D" in note
    assert "(2)" in note


def test_every_bad_row_in_one_message(tmp_path):
    path = write(tmp_path, "N,D,loss\n1e8,2e9,3\nbig,2e9,2.9\n3e8,,2.8\n4e8,2e9,x\n5e8,-2e9,2.6\n6e8,2e9,61\n")
    with pytest.raises(sf.DataError) as caught:
        sf.read_runs(path)
    words = str(caught.value)
    assert "runs.csv: 5 bad row" in words
    for row in ("row 2: params", "row 3: tokens", "row 4: loss", "row 5: tokens", "row 6: loss"):
        assert row in words
    assert "'big'" in words


def test_duplicates_warn():
    doubled = {name: [*values, values[0]] for name, values in TABLE.items()}
    with pytest.warns(sf.DataWarning, match=r"repeat.*\(4\)"):
        runs = sf.read_runs(doubled)
    assert "repeat" in runs.notes[-1]


def test_texts_and_dates_of_any_table_are_texts(tmp_path, monkeypatch):
    """Missing ones are empty; times have the parts of a second that they are given with, none where none has any."""
    when = pd.to_datetime(["2025-01-01 10:20:30", None, "2025-03-01 00:00:00"])
    frame = pd.DataFrame({**TABLE, "recipe": ["a", None, "\xfc"], "when": when, "exact": when + pd.Timedelta(5, "ms")})
    frame.to_csv(tmp_path / "runs.csv", index=False)
    frame.to_parquet(tmp_path / "runs.parquet")
    (tmp_path / "western.csv").write_bytes((tmp_path / "runs.csv").read_text().encode("cp1252"))
    for source in (frame, tmp_path / "runs.csv", tmp_path / "runs.parquet", tmp_path / "western.csv"):
        runs = sf.read_runs(source)
        assert runs["recipe"].tolist() == ["a", "", "\xfc"]
        assert runs["when"].tolist()[:2] == ["2025-01-01 10:20:30", ""]
        assert runs["exact"][0].rstrip("0") == "2025-01-01 10:20:30.005"
    monkeypatch.setattr(cells, "MOST_TEXT", 4 * 3 * 20)  # room for 20 characters
    long = ["x" * 21, "y" * 21, "z"]
    runs = sf.read_runs(frame.assign(notes=long, seed=long), cluster="seed")
    assert {"recipe", "when", "seed"} <= set(runs.columns)
    assert "notes" not in runs.columns
    assert any("'notes' is left out" in note for note in runs.notes)


def test_copies_are_found_by_their_numbers_when_read_and_by_health():
    """Whatever they are called; runs that differ in any number are none."""
    columns = {"params": [1e8, 2e8, 1e8, 1e8], "tokens": [2e9, 4e9, 2e9, 2e9], "loss": [3.0, 2.8, 3.0, 3.0]}
    columns |= {"lr": [np.nan, -0.0, np.nan, 0.0], "run": list("abcd")}
    with pytest.warns(sf.DataWarning, match=r"1 row.*\(3\)"):
        runs = sf.read_runs(columns)
    (check, *_) = check_rows(runs)
    assert (check.name, check.verdict, check.value) == ("copies", "review", 1)
    assert check.sentence.startswith("row 3 ")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [("runs.csv", "", "readable"), ("runs.csv", 'a,"b\n1,2', "readable"),
     ("runs.parquet", "not parquet", "readable"), ("runs.xlsx", "", "format"), ("runs.xlsx", "PK", "format")],
)  # fmt: skip
def test_files_that_are_no_tables(tmp_path, name, text, words):
    with pytest.raises(sf.DataError, match=words):
        sf.read_runs(write(tmp_path, text, name))


def test_absent_files_and_foreign_objects():
    with pytest.raises(sf.DataError, match="no file"):
        sf.read_runs("nowhere.csv")
    with pytest.raises(sf.DataError, match="int"):
        sf.read_runs(3)
    with pytest.raises(sf.DataError, match="length"):
        sf.read_runs({**TABLE, "loss": [1.0]})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("N,D,loss\n1e8,2e9,3,7\n2e8,4e9,2.9,8\n", "more fields"),
        ("N,D,loss,loss\n1e8,2e9,3,7\n", "repeats loss"),
        ("N,D,loss\n", "no runs"),
        ('N,D,loss\n"1,5e9",2e9,3\n2e8,4e9,2.9\n', "row 1: params.*1,5e9"),
        ("N,D,loss\n1e8,2e9,True\n2e8,4e9,False\n", "row 1: loss"),
    ],
    ids=["shifted", "repeated", "empty", "decimal-comma", "bool"],
)
def test_tables_that_would_be_misread_are_refused(tmp_path, text, words):
    with pytest.raises(sf.DataError, match=words):
        sf.read_runs(write(tmp_path, text))


def test_semicolons_and_an_index_column_are_read(tmp_path):
    plain = sf.read_runs(TABLE)
    body = [f"{n};{d};{y}" for n, d, y in zip(*TABLE.values(), strict=True)]
    assert sf.read_runs(write(tmp_path, "\n".join(["N;D;loss", *body]))).fingerprint == plain.fingerprint
    pd.DataFrame(TABLE).to_csv(tmp_path / "indexed.csv")
    assert sf.read_runs(tmp_path / "indexed.csv").fingerprint == plain.fingerprint


@pytest.mark.parametrize(
    "text",
    [
        "# by sweep.py\n#\n\nparams,tokens,loss\n{}",
        "# by sweep.py\n# params,tokens,loss\n{}",
        "params, tokens, loss\n{}",
        "params;tokens;loss\n{}",
        "params|tokens|loss\n{}",
        "params\ttokens\tloss\n{}",
        "params tokens loss\n{}",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_text_tables_of_every_kind(tmp_path, text, encoding):
    separator = next(s for s in (", ", ",", ";", "|", "\t", " ") if s in text.splitlines()[-2].lstrip("# "))
    body = "\n".join(separator.join(map(repr, row)) for row in zip(*TABLE.values(), strict=True))
    path = tmp_path / "runs.csv"
    path.write_bytes(text.format(body).encode(encoding))
    assert sf.read_runs(path).fingerprint == sf.read_runs(TABLE).fingerprint


def test_a_header_behind_a_comment_sign_is_one(tmp_path):
    text = "# a sweep\n#name,params,tokens,loss\na,100M,2B,3.0\nb,200M,4B,2.8\nc,400M,8B,2.6\n"
    assert sf.read_runs(write(tmp_path, text)).params.tolist() == TABLE["params"]


def test_decimal_commas(tmp_path):
    spelled = "Params;Tokens;Loss\n100M;2,0B;3,0\n0,2B;4,0B;2,8\n0,400B;8,000B;2,6\n"
    assert sf.read_runs(write(tmp_path, spelled)).fingerprint == sf.read_runs(TABLE).fingerprint
    mixed = 'Params,Tokens,Loss\n"0,100B","2,000B",3.0\n"0,200B","4,000B",2.8\n"0,400B","8,000B",2.6\n'
    zero = mixed.replace('"2,000B"', '"0,002T"').replace('"4,000B"', '"0,004T"').replace('"8,000B"', '"0,008T"')
    assert sf.read_runs(write(tmp_path, zero)).tokens.tolist() == TABLE["tokens"]
    with pytest.raises(sf.DataError, match="'2,000B' in tokens .*'Tokens'.* 2.000B or 2000B"):
        sf.read_runs(write(tmp_path, mixed))
    thousands = 'params,tokens,loss\n"100,000,000","2,000,000,000",3.0\n"200,000,000",4e9,2.8\n4e8,8e9,2.6\n'
    assert sf.read_runs(write(tmp_path, thousands)).fingerprint == sf.read_runs(TABLE).fingerprint
    german = write(tmp_path, "params;tokens;loss\n100.000.000,0;2e9;3,0\n2e8;4e9;2,8\n4e8;8e9;2,6\n")
    assert sf.read_runs(german).fingerprint == sf.read_runs(TABLE).fingerprint


@pytest.mark.parametrize("orient", ["records", "list", "split", "index", "dict"])
def test_json_of_every_arrangement(tmp_path, orient):
    content = json.dumps(pd.DataFrame(TABLE).to_dict(orient))
    assert sf.read_runs(write(tmp_path, content, "a.json")).fingerprint == sf.read_runs(TABLE).fingerprint
    wrapped = json.dumps({"runs": pd.DataFrame(TABLE).to_dict("records"), "seed": 0})
    assert sf.read_runs(write(tmp_path, wrapped, "b.json")).fingerprint == sf.read_runs(TABLE).fingerprint


def test_json_lines_with_one_run_a_line(tmp_path):
    lines = [json.dumps(record) for record in pd.DataFrame(TABLE).assign(_step=[9, 8, 9]).to_dict("records")]
    assert len(sf.read_runs(write(tmp_path, "\n".join(lines), "runs.jsonl"))) == 3
    cut = sf.read_runs(write(tmp_path, "\n".join([*lines, '{"params": 1e']), "runs.jsonl"))
    assert any("cut off" in note for note in cut.notes)
    with pytest.raises(sf.DataError, match="line 2"):
        sf.read_runs(write(tmp_path, "\n".join([lines[0], '{"params": 1e', lines[1]]), "runs.jsonl"))


def test_masked_values_are_missing():
    masked = np.ma.masked_array(TABLE["tokens"], [False, True, False])
    with pytest.raises(sf.DataError, match="row 2: tokens.*missing"):
        sf.read_runs({**TABLE, "tokens": masked})
    runs = sf.read_runs({**TABLE, "loss": np.ma.masked_array(TABLE["loss"], [False, True, False])})
    assert runs.loss.tolist() == [3.0, 2.6]


@pytest.mark.parametrize(
    "values",
    [
        np.array([1e9, 2e9, 4e9]) + 0j,
        np.array([1, 2, 3], "timedelta64[s]"),
        pd.to_timedelta([1, 2, 3], unit="D"),
        pd.period_range("2024", periods=3),
        pd.date_range("2024", periods=3),
        [True, False, True],
        [[1], [2], [3]],
        [{"a": 1}] * 3,
    ],
    ids=["complex", "timedelta64", "timedelta", "period", "datetime", "bool", "nested", "dict"],
)
def test_values_that_are_no_counts_are_refused(values):
    for source in ({**TABLE, "tokens": values}, pd.DataFrame({**TABLE, "tokens": pd.Series(list(values))})):
        with pytest.raises(sf.DataError, match="tokens"):
            sf.read_runs(source)


def test_numbers_of_every_kind_are_read():
    for values in (
        [Decimal("2e9"), Decimal("4e9"), Decimal("8e9")],
        [Fraction(2 * 10**9), 4 * 10**9, np.int64(8 * 10**9)],
        pd.array([2 * 10**9, 4 * 10**9, 8 * 10**9], dtype="Int64"),
        pd.Categorical([2e9, 4e9, 8e9]),
        pd.arrays.SparseArray([2e9, 4e9, 8e9]),
        np.array(["2B", "4 billion", "8bn"]),
        {"x": 2e9, "y": 4e9, "z": 8e9},
    ):
        assert sf.read_runs({**TABLE, "tokens": values}).tokens.tolist() == TABLE["tokens"]


class PanicException(BaseException):
    """What objects made in Rust raise: polars' has this name."""


class NoPath:
    """A path-like object that has no path."""

    def __fspath__(self):
        raise RuntimeError("no")


class Panics:
    """A foreign object that panics."""

    def to_pandas(self):
        raise PanicException("unwrap")


class Rude:
    """A foreign object whose methods fail."""

    def to_pandas(self):
        raise RuntimeError("x" * 100_000)

    def __str__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "source",
    [
        Rude(), Panics(), NoPath(), [""], [], [1, 2], (), set(), "",
        None, 3.5, np.zeros(3), np.zeros((2, 2)), object, type, lambda: 0, iter([]),
        {"params": Rude(), "loss": [1.0]}, {**TABLE, "extra": [Rude()] * 3}, {**TABLE, "loss": [[1, 2], [3], 4]},
        {**TABLE, "loss": [10**400] * 3}, {**TABLE, "loss": ["\ud83e"] * 3}, {**TABLE, "loss": [Decimal("sNaN")] * 3},
        {**TABLE, "params": ["x" * 10**6] * 3}, {("a", "b"): [1]}, {"loss": [None]}, {"x" * 10**6: [1]},
    ],
)  # fmt: skip
def test_odd_objects_are_one_short_sentence(source):
    with pytest.raises(sf.DataError) as refusal:
        sf.read_runs(source)
    assert len(str(refusal.value)) <= 2000


def test_frames_with_odd_names_and_indices():
    frame = pd.DataFrame(TABLE)
    expected = sf.read_runs(TABLE).fingerprint
    one_level = frame.set_axis(pd.MultiIndex.from_arrays([frame.columns]), axis=1)
    indexed = frame.set_axis(pd.Index([7, 7, 7], name="loss"))
    for source in (one_level, indexed, frame.set_index("params"), frame.set_index(["params", "tokens"]),
                   frame.to_dict("records"), frame.to_records(index=False)):  # fmt: skip
        assert sf.read_runs(source).fingerprint == expected


def test_wide_tables_and_long_cells_are_refused_at_once(tmp_path):
    header = ",".join(f"x{i}" for i in range(100_000))
    with pytest.raises(sf.DataError, match="columns"):
        sf.read_runs(write(tmp_path, f"{header},loss\n{header},3\n"))
    with pytest.raises(sf.DataError, match="repeats x"):
        sf.read_runs(write(tmp_path, ",".join(["x"] * 900) + "\n"))
    with pytest.raises(sf.DataError, match="row 1: params") as refusal:
        sf.read_runs(write(tmp_path, "params,tokens,loss\n" + "y" * 100_000 + ",1e9,3\n"))
    assert len(str(refusal.value)) < 400
    many = np.full(30_000, -1.0)
    with pytest.raises(sf.DataError, match="or more bad row") as refusal:
        sf.read_runs({"params": many, "tokens": many, "loss": -many})
    assert len(str(refusal.value)) <= 2000


def test_missing_values_of_every_library_are_missing():
    frame = pd.DataFrame(TABLE).astype({"params": "Int64"})
    frame.loc[1, "params"] = pd.NA
    with pytest.raises(sf.DataError, match="row 2: params.*missing"):
        sf.read_runs(frame)
    with pytest.raises(sf.DataError, match="row 2: tokens.*missing"):
        sf.read_runs(pl.DataFrame({**TABLE, "tokens": [3e9, None, 2.6e9]}))


def test_every_bad_row_is_named_however_many():
    params = np.geomspace(1e8, 1e9, 60)
    params[::2] = np.nan
    with pytest.raises(sf.DataError, match="30 bad row.*rows 41, 43, .*59"):
        sf.read_runs({"N": params, "D": np.geomspace(1e9, 1e11, 60), "loss": np.full(60, 3.0)})


def test_frames_that_cannot_be_a_table():
    frame = pd.DataFrame(TABLE)
    with pytest.raises(sf.DataError, match="different"):
        sf.read_runs(pd.concat([frame, frame[["loss"]]], axis=1))
    with pytest.raises(sf.DataError, match="shape"):
        sf.read_runs({**TABLE, "note": np.zeros((3, 2))})
