"""Hugging Face: `trainer_state.json` of a run, or a folder of checkpoints that each have one."""

import json
from pathlib import Path
from typing import Any, final

from scalefit.errors import DataError
from scalefit.io.formats._format import Format, Logged, decode, flat, of_records


@final
class TrainerState(Format):
    """The log of a `Trainer`; the model's `config.json` beside it gives its shape."""

    name = "trainer-state"
    about = "Hugging Face trainer_state.json: the last evaluation"

    def recognises(self, path: Path, head: bytes) -> bool:
        """An object with a log history."""
        return decode(head[:4096]).lstrip()[:1] == "{" and (
            path.name == "trainer_state.json" or b'"log_history"' in head
        )

    def read(self, path: Path) -> Logged:
        """One row for each entry of the log; counts of the whole run go to its last entry."""
        try:
            state = json.loads(decode(path.read_bytes()))
        except (ValueError, RecursionError) as problem:
            raise DataError(f"{path.name} is not readable JSON: {str(problem)[:200]}. Correct the file.") from None
        log = [flat(entry) for entry in state.get("log_history") or [] if isinstance(entry, dict)]
        if not log:
            raise DataError(f"{path.name} has an empty log. Give the state of a run that logged its loss.")
        whole = {name: state[name] for name in ("num_input_tokens_seen", "total_flos") if state.get(name)}
        evaluated = any("eval_loss" in entry for entry in log)
        for entry in log:
            if evaluated and "eval_loss" not in entry:
                entry.pop("loss", None)  # the training loss of one step
                entry.pop("train_loss", None)
        if state.get("global_step") in (None, log[-1].get("step")):
            log[-1] = whole | log[-1]
        config = {"name": _run_name(path)} | _config(path.parent / "config.json")
        return Logged(of_records([config | entry for entry in log]), history=True)


def _run_name(path: Path) -> str:
    folder = path.absolute().parent
    return (folder.parent if folder.name.startswith("checkpoint-") else folder).name or path.stem


def _config(path: Path) -> dict[str, Any]:
    """The numbers of a model's configuration, none where there is no such file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    wanted = ("num_hidden_layers", "hidden_size", "n_layer", "n_embd", "num_parameters", "_name_or_path")
    return {name: content[name] for name in wanted if isinstance(content, dict) and name in content}
