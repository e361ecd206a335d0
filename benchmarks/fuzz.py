"""What damaged, odd and rewritten input does: tables, objects and stored fits, mutated at random with a fixed seed.

    python benchmarks/fuzz.py [--tables 10000] [--rewritten 2000] [--objects 5000] [--files 400] [--seed 0]

writes benchmarks/results/fuzz.md. Every outcome has to be a result or an error of scalefit's own, at most 2,000
characters long, within 10 seconds; a stored fit that was changed has to be refused; a table that is only written in
another way has to give the same numbers. The seed of the first of each fault is printed, so that it can be repeated.
"""

import argparse
import json
import signal
import sqlite3
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from machine import describe, write_table

import scalefit as sf
from scalefit.errors import ScalefitError

RESULTS = Path(__file__).parent / "results"
LONGEST, SECONDS = 2000, 10
FAULTS = ("foreign exception", "hang", "message too long", "misread")
Random = np.random.Generator


class HangError(BaseException):
    """Raised by the alarm; no handler of ordinary errors catches it."""


@contextmanager
def limit(seconds: int) -> Iterator[None]:
    """Raise `HangError` after so many seconds."""

    def ring(*_: object) -> None:
        raise HangError

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def outcome(act: Callable[[], Any]) -> tuple[str, str]:
    """What an act comes to, in a word, and what it said."""
    try:
        with limit(SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            act()
    except HangError:
        return "hang", ""
    except ScalefitError as refusal:
        words = str(refusal)
        return ("message too long" if len(words) > LONGEST else type(refusal).__name__), words[:300]
    except AssertionError as wrong:
        return "misread", str(wrong)
    except Exception as problem:
        return "foreign exception", f"{type(problem).__name__}: {str(problem)[:300]}"
    return "read", ""


def base_frame(rng: Random) -> pd.DataFrame:
    """A small sweep."""
    size = int(rng.integers(3, 12))
    params = np.round(np.exp(rng.uniform(np.log(1e7), np.log(1e10), size)))
    tokens = np.round(params * rng.uniform(5, 50, size))
    loss = np.round(1.8 + 400 / params**0.34 + 2000 / tokens**0.37 + 0.001 * rng.standard_normal(size), 5)
    return pd.DataFrame({"params": params, "tokens": tokens, "loss": loss})


# Tables, mutated

ODD_CELLS = [
    "", "nan", "NaN", "inf", "-inf", "1e400", "-1", "0", "70B", "1,234,56", "3,154B", "0,5B", "10^18", "10^99999",
    "1e5e5", "None", "null", "True", "diverged", "🦙", "\ud83e".encode("utf-8", "replace").decode(), '"', "'", "\t",
    ";", "#", "\\", "1.4 trillion", "0x10", "١٢٣", "½", "9" * 400, "x" * 5000, "[1, 2]", "{}", "2024-01-01",
    "3 days", "1+2j", "%s", "=1+1", "../../etc/passwd", "<b>", "\x00", "\x1b[31m", "12_000", "5.76e23", "6.7bn",
    "-0", "+7e9", "1e-400", ".", "-", "?",
]  # fmt: skip
ODD_NAMES = [
    "loss", "params", "tokens", "val_loss", "", "nan", "Unnamed: 0", "#", "Params (M)", "Tokens (B)", "flops_1e18",
    "State", "step", "run", "eval/loss", "config.n_params", "total_params", "active_params", "x" * 3000, "🦙",
    "a.b.c.d/e/f", "c", "index", "flops", "batch_size", "seq_len", "n_layer", "d_model", "model", "0", "tokens/s",
    "cluster", "__MIN", "run - loss",
]  # fmt: skip


def as_text(frame: pd.DataFrame, rng: Random) -> tuple[str, str]:
    """A frame as CSV of some kind, JSON or JSON lines, and its ending."""
    kind = int(rng.integers(8))
    if kind < 4:
        return frame.to_csv(index=bool(rng.integers(2)), sep=",;\t|"[kind]), [".csv", ".csv", ".tsv", ".txt"][kind]
    if kind == 4:
        return frame.to_csv(index=False, sep=" "), ".txt"
    orient = ["records", "list", "split", "index"][int(rng.integers(4))]
    if kind == 5:
        return json.dumps(frame.to_dict(orient)), ".json"  # type: ignore[call-overload]
    if kind == 6:
        return "\n".join(json.dumps(record) for record in frame.to_dict("records")), ".jsonl"
    log = [{"eval_loss": loss, "step": step} for step, loss in enumerate(frame.iloc[:, -1])]
    state = {"log_history": log, "global_step": len(log) - 1, "num_input_tokens_seen": 10**9, "total_flos": 1e18}
    return json.dumps(state), ".json"


def mutated_frame(frame: pd.DataFrame, rng: Random) -> pd.DataFrame:
    """The frame with odd cells, names, rows and columns."""
    frame = frame.astype(object)
    for _ in range(int(rng.integers(0, 4))):
        row, column = int(rng.integers(len(frame))), int(rng.integers(frame.shape[1]))
        frame.iloc[row, column] = ODD_CELLS[int(rng.integers(len(ODD_CELLS)))]
    for _ in range(int(rng.integers(0, 3))):
        names = list(frame.columns)
        names[int(rng.integers(len(names)))] = ODD_NAMES[int(rng.integers(len(ODD_NAMES)))]
        if len(set(names)) == len(names):
            frame.columns = names
    for _ in range(int(rng.integers(0, 3))):
        name = ODD_NAMES[int(rng.integers(len(ODD_NAMES)))]
        values = [ODD_CELLS[int(rng.integers(len(ODD_CELLS)))] for _ in range(len(frame))]
        frame[name] = values if rng.integers(2) else rng.uniform(0, 10, len(frame))
    return frame


def mutated_bytes(content: bytes, rng: Random) -> bytes:
    """Bytes with a few flipped, cut out, doubled or inserted."""
    damaged = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        if not damaged:
            break
        place, kind = int(rng.integers(len(damaged))), int(rng.integers(6))
        end = min(len(damaged), place + int(rng.integers(1, 40)))
        if kind == 0:
            damaged[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del damaged[place:end]
        elif kind == 2:
            damaged[place:place] = damaged[place:end]
        elif kind == 3:
            damaged[place:place] = rng.bytes(end - place)
        elif kind == 4:
            del damaged[place:]
        else:
            damaged[place:place] = b",\n;\t\"'{}[]#"[int(rng.integers(11)) :][:1] * int(rng.integers(1, 30))
    return bytes(damaged)


def binary(frame: pd.DataFrame, rng: Random, folder: Path) -> Path:
    """A Parquet file, a workbook or a database."""
    kind = int(rng.integers(3))
    if kind == 0:
        path = folder / "table.parquet"
        frame.astype(str).to_parquet(path) if rng.integers(2) else frame.to_parquet(path)
    elif kind == 1:
        path = folder / "table.xlsx"
        frame.to_excel(path, index=False, engine="openpyxl")
    else:
        path = folder / "table.db"
        path.unlink(missing_ok=True)
        with sqlite3.connect(path) as store:
            store.execute("CREATE TABLE metrics (run_name TEXT, step INT, metrics TEXT)")
            for row, record in enumerate(frame.to_dict("records")):
                store.execute("INSERT INTO metrics VALUES (?, 1, ?)", (f"r{row}", json.dumps(record)))
        store.close()
    return path


def table(rng: Random, folder: Path) -> Callable[[], Any]:
    """One mutated file, to be read."""
    frame = base_frame(rng)
    if rng.integers(12) == 0:
        path = binary(frame, rng, folder)
        content = path.read_bytes()
    else:
        text, ending = as_text(mutated_frame(frame, rng) if rng.integers(2) else frame, rng)
        encoding = "utf-16" if rng.integers(10) == 0 else "utf-8"
        content, path = text.encode(encoding, "replace"), folder / f"table{ending}"
    path.write_bytes(mutated_bytes(content, rng) if rng.integers(3) else content)
    how = {"keep_unfinished": bool(rng.integers(2))}
    return lambda: sf.read_runs(path, **how)


# Tables, written in another way


def spelled(name: str, values: np.ndarray, kind: int, style: int) -> tuple[str, list[str]]:
    """A column of counts under another name, in other words."""
    unit, factor = [("M", 1e6), ("B", 1e9), ("1e9", 1e9), ("millions", 1e6)][style % 4]
    return [
        (name, [f"{value:.0f}" for value in values]),
        (name, [f"{value / 1e9:.12g}B" for value in values]),
        (name, [f"{value / 1e6:.12g} million" for value in values]),
        (
            [f"{name} ({unit})", f"{name}_{unit}", f"{name} [{unit}]"][style % 3],
            [f"{value / factor:.15g}" for value in values],
        ),
        ({"params": "config.model.n_params", "tokens": "throughput/total_tokens"}[name], [str(v) for v in values]),
        (name, [f"{value:,.0f}" for value in values]),
    ][kind]


def rewritten(rng: Random, folder: Path) -> Callable[[], Any]:
    """A file that says the same in another way; reading it gives the same numbers."""
    expected = base_frame(rng)
    semicolons = bool(rng.integers(3) == 0)
    loss = ["loss", "eval/loss", "Val Loss", "summary.val_loss", "final_val_loss"][int(rng.integers(5))]
    columns = {loss: [str(value) for value in expected["loss"]]}
    for name in ("params", "tokens"):
        kind, style = int(rng.integers(5 if semicolons else 6)), int(rng.integers(12))
        own, texts = spelled(name, expected[name].to_numpy(), kind, style)
        columns[own] = texts
    frame = pd.DataFrame(columns)
    if semicolons:
        frame = frame.map(lambda value: value.replace(".", ","))
    content = frame.iloc[:, rng.permutation(3)].to_csv(index=False, sep=";" if semicolons else ",")
    content = "# exported by a tracker\n" * int(rng.integers(3)) + content
    path = folder / "rewritten.csv"
    path.write_bytes(content.encode(["utf-8", "utf-8-sig", "utf-16"][int(rng.integers(3))]))

    def act() -> None:
        runs = sf.read_runs(path)
        for name in ("params", "tokens", "loss"):
            if not np.allclose(runs[name], expected[name], rtol=1e-9):
                raise AssertionError(
                    f"{name} of {content[:200]!r}: {runs[name][:3]}, not {expected[name][:3].tolist()}"
                )

    return act


# Objects


class Rude:
    """An object each of whose methods fails."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __str__(self) -> str:
        raise self.error("no")

    __repr__ = __str__
    to_pandas = __dataframe__ = __len__ = __iter__ = __array__ = __str__


def odd_value(rng: Random) -> Any:
    """One value that should not be in a table, or should."""
    values = [
        None, 1, 2.5, "70B", "x", b"bytes", True, 10**400, -1, float("nan"), float("inf"), Decimal("sNaN"),
        Decimal("3.1"), Fraction(1, 3), 1 + 2j, np.timedelta64(3, "D"), np.datetime64("2024-01-01"), timedelta(1),
        datetime(2024, 1, 1), date(2024, 1, 1), pd.Period("2024-01"), pd.NA, pd.NaT, pd.Timestamp(0),
        pd.Interval(0, 1), [1, 2], (1,), {}, {"a": 1}, {1, 2}, np.arange(3), np.array(3.0), np.ma.masked, "\ud83e",
        "x" * 100_000, range(3), Rude(ValueError), Rude(RuntimeError), Rude(RecursionError), object(), type, len,
        np.float16(3), np.longdouble(3), np.int64(2**62), np.uint64(2**63), Ellipsis, slice(1), memoryview(b"ab"),
        iter([1]), Exception("no"), np.str_("5e9"), np.bytes_(b"5"), np.void(b"12"),
    ]  # fmt: skip
    return values[int(rng.integers(len(values)))]


def odd_column(rng: Random, size: int) -> Any:
    """A column of some library, with some odd values."""
    kind = int(rng.integers(22))
    numbers = rng.uniform(2, 4, size)
    mixed = [odd_value(rng) if rng.integers(3) == 0 else float(x) for x in numbers]
    makers: list[Callable[[], Any]] = [
        lambda: numbers,
        lambda: mixed,
        lambda: [odd_value(rng)] * size,
        lambda: odd_value(rng),
        lambda: np.ma.masked_array(numbers, rng.integers(0, 2, size)),
        lambda: numbers + 1j,
        lambda: numbers.astype("timedelta64[s]"),
        lambda: pd.date_range("2024", periods=size),
        lambda: pd.period_range("2024", periods=size),
        lambda: pd.Categorical([f"{x:.2f}" for x in numbers]),
        lambda: pd.Series(numbers, dtype="Float64").mask(numbers > 3),
        lambda: pd.arrays.SparseArray(numbers),
        lambda: pa.array(numbers),
        lambda: pl.Series(numbers),
        lambda: rng.uniform(size=(size, 2)),
        lambda: [numbers] * size,
        lambda: [[1] * i for i in range(size)],
        lambda: (x for x in numbers),
        lambda: dict(enumerate(numbers)),
        lambda: set(numbers),
        lambda: pd.Series(numbers, index=range(10, 10 + size)),
        lambda: np.array([(1, 2.0)] * size, dtype=[("a", int), ("b", float)]),
    ]
    return makers[kind]()


ODD_LABELS = [None, 3, 2.5, True, b"x", (1, 2), ("a",), float("nan"), date(2024, 1, 1), "\ud83e", "x" * 5000, "", pd.NA]


def odd_object(rng: Random) -> Callable[[], Any]:
    """An object given as a table."""
    size = int(rng.integers(1, 6))
    columns: dict[Any, Any] = {
        "params": rng.uniform(1e7, 1e9, size), "tokens": rng.uniform(1e9, 1e10, size), "loss": rng.uniform(2, 4, size)
    }  # fmt: skip
    for _ in range(int(rng.integers(1, 3))):
        name = ["params", "tokens", "loss", "extra", "State", "step", "run"][int(rng.integers(7))]
        columns[name] = odd_column(rng, size)
    if rng.integers(6) == 0:
        columns[ODD_LABELS[int(rng.integers(len(ODD_LABELS)))]] = np.ones(size)
    kind = int(rng.integers(9))
    if kind == 4:
        return lambda: sf.read_runs(odd_value(rng))
    if kind == 5:
        return lambda: sf.read_runs([columns, {name: odd_value(rng) for name in columns}])
    source: Any = columns
    if kind > 5:
        try:
            source = odd_frame(rng, columns, kind)
        except (Exception, pl.exceptions.PanicException):  # pandas and polars refuse it themselves: the dict is left
            source = columns
    return lambda: sf.read_runs(source)


def odd_frame(rng: Random, columns: dict[Any, Any], kind: int) -> Any:
    """A frame of columns, with an odd index or odd names, or of another library."""
    frame = pd.DataFrame(columns)
    if kind == 6:
        frame.index = pd.MultiIndex.from_arrays([range(len(frame))], names=["loss"])
    elif kind == 7:
        frame.index.name = ["loss", "run", None, 3][int(rng.integers(4))]
    elif rng.integers(2):
        frame.columns = pd.MultiIndex.from_arrays([frame.columns])
    else:
        return pl.DataFrame({str(name): column for name, column in columns.items()})
    return frame


# Stored fits


def stored(rng: Random, folder: Path, content: bytes) -> Callable[[], Any]:
    """A stored fit with changed bytes; it has to be refused."""
    path = folder / "fit.nc"
    damaged = mutated_bytes(content, rng)
    path.write_bytes(damaged)

    def act() -> None:
        sf.load(path)
        if damaged != content:
            raise AssertionError("a changed file was loaded")

    return act


def run(name: str, count: int, seed: int, make: Callable[[Random], Callable[[], Any]]) -> Counter[str]:
    """Outcomes of so many acts, each of its own seed; the first of each fault is printed."""
    outcomes: Counter[str] = Counter()
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            act = make(rng)
        kind, words = outcome(act)
        if kind in FAULTS and outcomes[kind] < 40:
            print(f"{name} {index}: {kind}: {words!r}", flush=True)
        outcomes[kind] += 1
    return outcomes


def main() -> None:
    """Run all four and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=10_000)
    parser.add_argument("--rewritten", type=int, default=2_000)
    parser.add_argument("--objects", type=int, default=5_000)
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        content = b""
        if asked.files:
            sf.fit(sf.datasets.load("chinchilla"), engine=sf.AIS(draws=200)).save(folder / "fit.nc")
            content = (folder / "fit.nc").read_bytes()
        found = {
            "mutated tables": run("table", asked.tables, asked.seed, lambda rng: table(rng, folder)),
            "tables written in another way": run(
                "rewritten", asked.rewritten, asked.seed, lambda r: rewritten(r, folder)
            ),
            "odd objects": run("object", asked.objects, asked.seed, odd_object),
            "changed stored fits": run("file", asked.files, asked.seed, lambda rng: stored(rng, folder, content)),
        }
    kinds = ["read", "DataError", "OptionError", "StorageError", *FAULTS]
    unknown = {kind for counts in found.values() for kind in counts} - set(kinds)
    header = ["input", "count", *kinds, *sorted(unknown)]
    rows: list[list[object]] = [
        [name, sum(counts.values()), *(counts[kind] for kind in header[2:])] for name, counts in found.items()
    ]
    where = describe("pandas", "pyarrow", "polars") + f"; seed {asked.seed}"
    write_table(RESULTS / "fuzz.md", "Damaged, odd and rewritten input", where, (header, rows))


if __name__ == "__main__":
    main()
