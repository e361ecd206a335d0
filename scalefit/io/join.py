"""Several files as one table: histories shortened, rows under each other, facts about runs joined by their names."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from scalefit.io.aliases import recognise, with_role
from scalefit.io.columns import choose
from scalefit.io.history import find_steps, history_note, one_row_a_run
from scalefit.io.names import column_called
from scalefit.io.sources import Opened

if TYPE_CHECKING:
    import pandas as pd


def one_table(opened: Opened, mapping: Mapping[str, str], how: str | None) -> tuple["pd.DataFrame", list[str]]:
    """One frame of all parts of a table.

    Parameters
    ----------
    opened
        The table's parts.
    mapping
        Canonical column -> the table's own name, where the user gave one.
    how
        "last", "minimum" or "all" of a history; None leaves it to the table.

    Returns
    -------
    frame : pandas.DataFrame
        One row a run, or the rows as they are.
    notes : list of str
        What was left out, shortened or joined.

    Raises
    ------
    DataError
        Several columns of a history could be the loss.
    """
    import pandas as pd

    notes = [note for part in opened.parts for note in part.notes]
    shortened: dict[str, np.ndarray] = {}
    frames = []
    for part in opened.parts:
        frame, steps = part.frame, find_steps(part, how in ("last", "minimum")) if how != "all" else None
        if steps is not None:
            given = {name: own for name, own in mapping.items() if column_called(own, frame.columns)}
            loss = choose(list(frame.columns), given, None, {"loss"}, opened.name).sources.get("loss")
            rows, frame = len(frame), one_row_a_run(frame, steps, loss, how or "last")
            if rows > len(frame):
                said = history_note(steps, loss, how or "last")
                shortened[said] = shortened.get(said, np.zeros(2, int)) + (rows, len(frame))
        frames.append(frame)
    notes += [f"{rows} logged rows became {runs} run(s){said}" for said, (rows, runs) in shortened.items()]
    if how == "minimum" and not shortened:
        notes.append("history 'minimum' changes nothing: no rows are steps of a run")
    if len(frames) == 1:
        return frames[0], notes
    facts, frames, unused = _facts(frames, mapping)
    notes += [f"{unused} table(s) without a loss or names of runs are left out"] if unused else []
    whole = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    for fact in facts:
        whole, note = _with_facts(whole, fact)
        notes.append(note)
    return whole, list(dict.fromkeys(notes))


def _facts(
    frames: list["pd.DataFrame"], mapping: Mapping[str, str]
) -> tuple[list["pd.DataFrame"], list["pd.DataFrame"], int]:
    """Tables without a loss that name runs, tables with a loss, and how many are neither; all where none has a loss."""
    facts: list[pd.DataFrame] = []
    others, unused = [], 0
    for frame in frames:
        columns = list(frame.columns)
        quantities = {found[0] for column in columns if (found := recognise(column))}
        if "loss" in quantities or column_called(mapping.get("loss", ""), columns):
            others.append(frame)
        elif with_role(columns, "run") is not None:
            facts.append(frame)
        else:
            unused += 1
    return (facts, others, unused) if others else ([], frames, 0)


def _with_facts(whole: "pd.DataFrame", facts: "pd.DataFrame") -> tuple["pd.DataFrame", str]:
    """A table of runs with the columns of another, matched by the names of runs."""
    key, other = with_role(list(whole.columns), "run"), with_role(list(facts.columns), "run")
    if key is None or other is None:
        return whole, "a table without a loss is left out"
    facts = facts.drop_duplicates(other).set_index(facts[other].drop_duplicates().map(str))
    new = [column for column in facts.columns if column not in whole.columns]
    matched = whole[key].map(str)
    found = int(matched.isin(facts.index).sum())
    own = {column: facts[column].reindex(matched).to_numpy() for column in new}
    return whole.assign(**own), f"{', '.join(map(str, new[:5]))} of {found} run(s) are joined by {key!r}"
