"""MLflow's tracking store in one SQLite file (`mlflow.db`): parameters and metrics of each run."""

from pathlib import Path
from typing import Any, final

from scalefit.io.formats._format import Format, Logged, need, of_records
from scalefit.io.formats._sqlite import MAGIC, columns_of, opened


@final
class Mlflow(Format):
    """One row a run: its status, its parameters, and the last value of each metric."""

    name = "mlflow"
    about = "MLflow's SQLite store"

    def recognises(self, path: Path, head: bytes) -> bool:
        """A database with MLflow's tables."""
        if not head.startswith(MAGIC):
            return False
        tables = columns_of(path)
        return {"runs", "params", "latest_metrics"} <= set(tables) and "run_uuid" in tables["runs"]

    def read(self, path: Path) -> Logged:
        """Runs that were not deleted."""
        has = columns_of(path).get("runs", set())
        wanted = [column for column in ("run_uuid", "name", "status", "lifecycle_stage") if column in has]
        with opened(path) as database:
            runs: dict[str, dict[str, Any]] = {}
            for row in database.execute(f"SELECT {', '.join(wanted)} FROM runs"):
                runs[row[0]] = dict(zip(wanted, row, strict=True))
            for run, key, value in database.execute("SELECT run_uuid, key, value FROM params"):
                if run in runs:
                    runs[run][f"params.{key}"] = value
            nan = "CASE WHEN is_nan THEN NULL ELSE value END" if _has_nan(path) else "value"
            for run, key, value in database.execute(f"SELECT run_uuid, key, {nan} FROM latest_metrics"):
                if run in runs:
                    runs[run][f"metrics.{key}"] = value
        kept = [run for run in runs.values() if run.pop("lifecycle_stage", "active") != "deleted"]
        need(kept, path, "runs")
        deleted = len(runs) - len(kept)
        notes = (f"each metric of {path.name} is read at its last step",)
        return Logged(of_records(kept), (*notes, f"{deleted} deleted run(s) are left out") if deleted else notes)


def _has_nan(path: Path) -> bool:
    return "is_nan" in columns_of(path)["latest_metrics"]
