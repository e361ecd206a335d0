"""What every format must do: the same runs from any of them, with no flag, and one sentence for a damaged file."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import scalefit as sf
from scalefit.io.formats import FORMATS, recognise_format

RUNS = [("a", 2e7, 4e8, 4.02), ("b", 6e7, 1.2e9, 3.61), ("c", 1.9e8, 3.8e9, 3.19), ("d", 5.6e8, 1.1e10, 2.85)]
FRAME = pd.DataFrame(RUNS, columns=["run", "n_params", "tokens", "val_loss"])
LONGEST = 2000
CONFIG = """wandb_version: 1

_wandb:
  desc: null
  value:
    cli_version: 0.16.0
model:
  desc: null
  value:
    n_params: {params:.0f}
    name: 'tiny'
    sizes:
    - 1
    - 2
"""


def delimited(separator: str, ending: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        FRAME.to_csv(folder / f"runs{ending}", sep=separator, index=False)
        return folder / f"runs{ending}"

    return write


def write_json(folder: Path) -> Path:
    (folder / "runs.json").write_text(json.dumps(FRAME.to_dict("records")))
    return folder / "runs.json"


def write_jsonl(folder: Path) -> Path:
    """A logger's lines: the configuration first, then every step with what it measures."""
    lines = []
    for run, params, tokens, loss in RUNS:
        lines.append({"run": run, "config": {"model": {"n_params": params}}})
        for step in range(1, 4):
            lines.append({"run": run, "step": step, "throughput/total_tokens": tokens * step / 3})
            lines.append({"run": run, "step": step, "eval/loss": loss + 0.1 * (3 - step)})
    (folder / "log.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    return folder / "log.jsonl"


def write_parquet(folder: Path) -> Path:
    FRAME.to_parquet(folder / "runs.parquet")
    return folder / "runs.parquet"


def write_xlsx(folder: Path) -> Path:
    pytest.importorskip("openpyxl")
    with pd.ExcelWriter(folder / "runs.xlsx", engine="openpyxl") as book:
        FRAME.to_excel(book, index=False, startrow=2)
    return folder / "runs.xlsx"


def write_wandb(folder: Path) -> Path:
    """The folders of W&B's client, offline ones too, and its link to the latest."""
    for index, (run, params, tokens, loss) in enumerate(RUNS):
        files = folder / "wandb" / f"{'offline-' * (index % 2)}run-20250301_10000{index}-{run}" / "files"
        files.mkdir(parents=True)
        config = CONFIG.format(params=params)
        (files / "config.yaml").write_text(config)
        summary = {"_step": 9, "_wandb": {"runtime": 2}, "eval/loss": loss, "throughput/total_tokens": tokens}
        (files / "wandb-summary.json").write_text(json.dumps(summary))
    (folder / "wandb" / "latest-run").symlink_to(files.parent, target_is_directory=True)
    return folder / "wandb"


def write_chart(folder: Path) -> Path:
    """The chart has losses by step; a table beside it says what the runs are."""
    steps = {"Step": [1000, 2000]}
    for run, _, _, loss in RUNS:
        for name in (f"{run} - eval/loss", f"{run} - eval/loss__MIN", f"{run} - eval/loss__MAX"):
            steps[name] = [loss + 0.2, loss]
    pd.DataFrame(steps).to_csv(folder / "wandb_export.csv", index=False)
    FRAME[["run", "n_params", "tokens"]].to_csv(folder / "sizes.csv", index=False)
    return folder


def write_states(folder: Path) -> Path:
    """A folder a run, with the model's configuration, and an earlier checkpoint of each."""
    for run, params, tokens, loss in RUNS:
        for name, step in ((".", 3000), ("checkpoint-2000", 2000)):
            place = folder / run / name
            place.mkdir(parents=True, exist_ok=True)
            log = [{"loss": 5.0, "step": s} for s in range(1000, step + 1, 1000)]
            log.append({"eval_loss": loss + 3 - step / 1000, "step": step, "epoch": 1.0})
            state = {"best_metric": None, "global_step": step, "num_input_tokens_seen": tokens, "log_history": log}
            (place / "trainer_state.json").write_text(json.dumps(state))
            (place / "config.json").write_text(json.dumps({"num_parameters": params, "model_type": "llama"}))
    return folder


def write_mlflow(folder: Path) -> Path:
    with sqlite3.connect(folder / "mlflow.db") as store:
        store.executescript(
            "CREATE TABLE runs (run_uuid TEXT, name TEXT, status TEXT, lifecycle_stage TEXT);"
            "CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);"
            "CREATE TABLE latest_metrics (key TEXT, value FLOAT, timestamp INT, step INT, is_nan INT, run_uuid TEXT);"
        )
        store.execute("INSERT INTO runs VALUES ('z', 'gone', 'FINISHED', 'deleted')")
        for run, params, tokens, loss in RUNS:
            store.execute("INSERT INTO runs VALUES (?, ?, 'FINISHED', 'active')", (f"id-{run}", run))
            store.execute("INSERT INTO params VALUES ('n_params', ?, ?)", (str(params), f"id-{run}"))
            for key, value in (("total_tokens", tokens), ("val_loss", loss)):
                store.execute("INSERT INTO latest_metrics VALUES (?, ?, 1, 9, 0, ?)", (key, value, f"id-{run}"))
    return folder / "mlflow.db"


def write_mlruns(folder: Path) -> Path:
    """An experiment with a deleted run, and a key with a slash; the last step is not the last line."""
    experiment = folder / "mlruns" / "123456"
    for run, params, tokens, loss in [*RUNS, ("gone", 1e9, 2e10, 1.0)]:
        stage = "deleted" if run == "gone" else "active"
        meta = f"lifecycle_stage: {stage}\nrun_id: id-{run}\nrun_name: {run}\nstatus: 3\ntags: []\n"
        texts = {
            "meta.yaml": meta,
            "params/n_params": str(params),
            "metrics/eval/loss": f"100 {loss + 1} 0\n300 {loss} 9\n200 {loss + 0.1} 5\n",
            "metrics/total_tokens": f"300 {tokens}\n",
            "tags/mlflow.source.name": "train.py",
            "artifacts/other.csv": "params,tokens,loss\n1e8,1e9,9\n",
        }
        for name, text in texts.items():
            file = experiment / f"id-{run}" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    (experiment / "meta.yaml").write_text("artifact_location: file:///mlruns/123456\nname: sweep\n")
    return folder / "mlruns"


def write_trackio(folder: Path) -> Path:
    with sqlite3.connect(folder / "sweep.db") as store:
        store.executescript(
            "CREATE TABLE metrics (id INTEGER PRIMARY KEY, timestamp TEXT, run_name TEXT, step INT, metrics TEXT);"
            "CREATE TABLE configs (id INTEGER PRIMARY KEY, run_name TEXT, config TEXT, created_at TEXT);"
        )
        for run, params, tokens, loss in RUNS:
            config = json.dumps({"model": {"n_params": params}})
            store.execute("INSERT INTO configs (run_name, config) VALUES (?, ?)", (run, config))
            for step in range(3):
                logged = json.dumps({"val/loss": loss + 0.1 * (2 - step), "tokens_seen": tokens * (step + 1) / 3})
                store.execute(
                    "INSERT INTO metrics (timestamp, run_name, step, metrics) VALUES ('t', ?, ?, ?)",
                    (run, step, logged),
                )
    return folder / "sweep.db"


WRITERS = {
    "csv": delimited(",", ".csv"),
    "tsv": delimited("\t", ".tsv"),
    "json": write_json,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
    "xlsx": write_xlsx,
    "wandb": write_wandb,
    "wandb-chart": write_chart,
    "trainer-state": write_states,
    "mlflow": write_mlflow,
    "mlruns": write_mlruns,
    "trackio": write_trackio,
}


@pytest.fixture(params=FORMATS)
def name(request):
    return request.param


def table_of(runs: sf.Runs) -> np.ndarray:
    rows = np.column_stack([runs.params, runs.tokens, runs.loss])
    return rows[np.argsort(rows[:, 0])]


def outcome(path: Path, name: str | None) -> str:
    try:
        return sf.read_runs(path, format=name).describe()
    except (sf.DataError, sf.OptionError) as refusal:
        return str(refusal)


EXPECTED = np.array([row[1:] for row in RUNS])


def test_the_same_runs_with_no_flag(name, tmp_path):
    runs = sf.read_runs(WRITERS[name](tmp_path))
    np.testing.assert_allclose(table_of(runs), EXPECTED, rtol=1e-12)


def test_a_format_explains_itself_and_can_be_named(name, tmp_path):
    assert FORMATS[name].name == name
    assert FORMATS[name].about
    path = WRITERS[name](tmp_path)
    if name not in ("wandb-chart", "trainer-state"):  # these are folders of files
        assert recognise_format(path) is FORMATS[name]
        np.testing.assert_allclose(table_of(sf.read_runs(path, format=name.upper())), EXPECTED, rtol=1e-12)


def test_a_cut_or_flipped_file_is_one_short_sentence_or_a_table(name, tmp_path):
    """Where a table comes out, it is one of the same kind: bytes were text, and text can be a number."""
    WRITERS[name](tmp_path)
    rng = np.random.default_rng(0)
    for path in sorted(p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".yaml")[:3]:
        content = path.read_bytes()
        for kind in range(6):
            damaged = bytearray(content[: rng.integers(0, len(content))] if kind % 2 else content)
            for place in rng.integers(0, max(len(damaged), 1), size=3 if damaged else 0):
                damaged[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            assert len(outcome(path, name if name not in ("wandb", "wandb-chart") else None)) <= LONGEST
        path.write_bytes(content)


def test_the_content_counts_and_not_the_ending(name, tmp_path):
    path = WRITERS[name](tmp_path)
    if path.is_file() and name != "tsv":
        other = path.with_name("table.txt")
        path.rename(other)
        np.testing.assert_allclose(table_of(sf.read_runs(other)), EXPECTED, rtol=1e-12)


def test_what_is_no_table_says_so(tmp_path):
    (tmp_path / "fit.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(sf.DataError, match="netCDF"):
        sf.read_runs(tmp_path / "fit.nc")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(sf.DataError, match="empty"):
        sf.read_runs(tmp_path / "empty.csv")
    (tmp_path / "folder").mkdir()
    with pytest.raises(sf.DataError, match="no table"):
        sf.read_runs(tmp_path / "folder")
    with pytest.raises(sf.DataError, match="matches"):
        sf.read_runs(str(tmp_path / "*.jsonl"))
    with pytest.raises(sf.OptionError, match="jsonl"):
        sf.read_runs(tmp_path / "empty.csv", format="jsonlines")


def test_a_tracker_is_found_in_the_folder_around_it_and_other_tables_are_named(tmp_path):
    write_mlruns(tmp_path)
    (tmp_path / "prices.csv").write_text("gpu,price\nH100,2\n")
    runs = sf.read_runs(tmp_path)
    np.testing.assert_allclose(table_of(runs), EXPECTED)
    assert any("prices.csv" in note for note in runs.notes)
    assert any("1 deleted" in note for note in runs.notes)
    one_run = sf.read_runs(tmp_path / "mlruns" / "123456" / "id-b")
    assert one_run.loss.tolist() == [3.61]
    states = {"1": "running", "4": "failed"}
    for run, state in zip("ac", states, strict=True):
        meta = tmp_path / "mlruns" / "123456" / f"id-{run}" / "meta.yaml"
        meta.write_text(meta.read_text().replace("status: 3", f"status: {state}"))
    assert sf.read_runs(tmp_path).loss.tolist() == [3.61, 2.85]
    assert len(sf.read_runs(tmp_path / "mlruns", keep_unfinished=True)) == 4


def test_an_excel_file_without_its_library_says_what_to_install(tmp_path, monkeypatch):
    path = write_xlsx(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(sf.DataError, match="pip install openpyxl"):
        sf.read_runs(path)


def test_patterns_folders_and_lists_join_files(tmp_path):
    """Lightning's logs: a file of steps for each run; sizes in a table, or in the file of hyperparameters beside it."""
    for run, _, _, loss in RUNS:
        place = tmp_path / "logs" / run
        place.mkdir(parents=True)
        rows = [f"{epoch},{100 * epoch},{5 - epoch},{loss + 0.1 * (3 - epoch)}" for epoch in (1, 2, 3)]
        (place / "metrics.csv").write_text("\n".join(["epoch,step,train_loss,val_loss", *rows]))
    FRAME[["run", "n_params", "tokens"]].to_csv(tmp_path / "sizes.csv", index=False)
    files = sorted((tmp_path / "logs").rglob("*.csv"))
    alone = sf.read_runs(tmp_path / "logs")
    assert alone["run"].tolist() == [row[0] for row in RUNS]
    assert alone.loss.tolist() == [row[3] for row in RUNS]
    for source in ([*files, tmp_path / "sizes.csv"], [str(tmp_path / "logs/*/*.csv"), str(tmp_path / "sizes.csv")]):
        np.testing.assert_allclose(table_of(sf.read_runs(source)), EXPECTED)
    for run, params, tokens, _ in RUNS:
        (tmp_path / "logs" / run / "hparams.yaml").write_text(
            f"n_params: {params:.0f}\ntotal_tokens: {tokens:.0f}\nlr: 3e-4\n"
        )
    beside = sf.read_runs(tmp_path / "logs")
    np.testing.assert_allclose(table_of(beside), EXPECTED)
    assert any("12 logged rows became 4 run(s)" in note for note in beside.notes)


def test_a_history_is_shortened_as_it_is_asked(tmp_path):
    path = write_jsonl(tmp_path)
    runs = sf.read_runs(path)
    assert any("4 run(s)" in note and "last" in note for note in runs.notes)
    lines = path.read_text().splitlines()
    worse = json.dumps({"run": "a", "step": 4, "eval/loss": 6.5, "throughput/total_tokens": 5e8})
    path.write_text("\n".join([*lines, worse]))
    assert sf.read_runs(path).loss[0] == 6.5
    assert sf.read_runs(path).tokens[0] == 5e8
    assert sf.read_runs(path, history="minimum").loss[0] == 4.02
    assert sf.read_runs(path, history="minimum").tokens[0] == pytest.approx(4e8)
    with pytest.raises(sf.OptionError, match="minimum"):
        sf.read_runs(path, history="best")
    store = sf.read_runs(write_mlruns(tmp_path), history="minimum")
    assert any("'minimum' changes nothing" in note for note in store.notes)
