"""CSV, TSV and their kin: commas, semicolons, tabs, bars or spaces; comments above the header; decimal commas."""

import io
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, final

from scalefit.errors import DataError
from scalefit.io.aliases import recognise
from scalefit.io.formats._format import Format, Logged, decode
from scalefit.io.frames import refuse_wide

if TYPE_CHECKING:
    import pandas as pd

HEAD, LONGEST_HEADER = 1 << 16, 1 << 24  # bytes that are looked at before the whole is read
_NUMBER = r"[+-]?\d*\.?\d+(?:[eE][+-]?\d+)?"
# 3,4059 or 0,88B or 1.234,5: a number whose point is a comma.
_DECIMAL_COMMA = re.compile(r"\s*[+-]?(?:\d{1,3}(?:\.\d{3})+|\d*),\d+(?:[eE][+-]?\d+)?\s*[A-Za-z]*\s*")
_GROUPS = re.compile(r"\s*[+-]?\d{1,3}(?:,\d{3}){2,}(?:\.\d+)?\s*[A-Za-z]*\s*")


class Delimited(Format):
    """What CSV and TSV share; the separator is the one that the header has."""

    def recognises(self, path: Path, head: bytes) -> bool:
        """Text with a separator in its header."""
        text = decode(head)
        return "\0" not in text and bool(text.strip()) and _separator(_header(text)[1], self.name) is not None

    def read(self, path: Path) -> Logged:
        """A table of text; numbers with decimal commas get a point where semicolons separate columns."""
        with path.open("rb") as file:
            head = file.read(HEAD)
            head += file.read(LONGEST_HEADER) if b"\n" not in head else b""
            text = decode(head)
            skipped, header = _header(text)
            separator = _separator(header, self.name) or ","
            refuse_wide(header.count(separator) + 1)
            plain = head[:2] not in (b"\xff\xfe", b"\xfe\xff") and head[1:2] != b"\0"
            source: object = path
            try:
                head.decode("utf-8-sig")
            except UnicodeDecodeError as problem:
                plain = plain and problem.start > len(head) - 4  # cut inside a letter
            if not plain:
                source = io.StringIO(decode(head + file.read()))
        frame = _parse(source, separator, skipped, path)
        if separator == ";":
            frame = frame.apply(_with_points) if len(frame) else frame
        return Logged(frame)


@final
class Csv(Delimited):
    """Comma-separated values, or another separator that the header has."""

    name = "csv"
    about = "CSV: commas, semicolons or spaces; # lines above the header"


@final
class Tsv(Delimited):
    """Tab-separated values."""

    name = "tsv"
    about = "TSV: tabs"


def _header(text: str) -> tuple[int, str]:
    """How many lines come before the header, and the header itself.

    Comment lines and empty lines are skipped; where numbers follow the last comment, it is the header.
    """
    lines = text.splitlines()[:1000]
    skipped = 0
    while skipped < len(lines) and (not lines[skipped].strip() or lines[skipped].lstrip().startswith("#")):
        skipped += 1
    first = lines[skipped] if skipped < len(lines) else ""
    above = lines[skipped - 1].lstrip("# \t") if skipped else ""
    names, cells = _cells(above), _cells(first)
    if len(names) == len(cells) and any(map(recognise, names)) and not any(map(recognise, cells)):
        return skipped - 1, above
    return skipped, first


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"[,;\t|]" if re.search(r"[,;\t|]", line) else r"\s+", line.strip())]


def _separator(header: str, name: str) -> str | None:
    """What separates the names of a header, by what it has most of outside quotes; None where there is one name."""
    if name == "tsv":
        return "\t" if "\t" in header else None
    bare = re.sub(r'"[^"]*"', "", header)
    counts = {separator: bare.count(separator) for separator in ("\t", ";", ",", "|")}
    best = max(counts, key=lambda separator: counts[separator])
    if counts[best]:
        return best
    return r"\s+" if len(bare.split()) > 1 and '"' not in header else None


def _parse(source: object, separator: str, skipped: int, path: Path) -> "pd.DataFrame":
    """The table under its header; repeated names and rows longer than the header are refused."""
    import pandas as pd

    options: dict = {"sep": separator, "skiprows": skipped, "skipinitialspace": True}
    first = pd.read_csv(source, header=None, nrows=1, dtype=str, encoding_errors="replace", **options)
    header = [str(name) for name in first.iloc[0]]
    marked = header[0].startswith("#")
    if marked and not (header[0].strip("# ") and len(header) > 1):
        header = header[1:]
    counts = Counter(name for name in header if name != "nan")
    if repeated := sorted(name[:60] for name, count in counts.items() if count > 1):
        raise DataError(f"{path.name}: the header repeats {', '.join(repeated[:10])}. Rename one of the columns.")
    if all(re.fullmatch(_NUMBER, name.strip()) for name in header):
        raise DataError(f"{path.name}: the first line has numbers and no names. Put the names of the columns there.")
    if marked:
        names = [name.lstrip("# ") for name in header]
        options |= {"header": None, "names": names, "skiprows": skipped + 1}
    try:
        frame = _all_rows(source, options)
    except UnicodeDecodeError:
        frame = _all_rows(
            source, options | {"encoding_errors": "replace"}
        )  # for which pandas takes eight times as long
    if not isinstance(frame.index, pd.RangeIndex):  # pandas would shift every column by one
        raise DataError(f"{path.name}: the rows have more fields than the header. Name every column.")
    return frame.drop(columns=[name for name in frame.columns if str(name).startswith("Unnamed: ")])


def _all_rows(source: object, options: dict) -> "pd.DataFrame":
    import pandas as pd

    if isinstance(source, io.StringIO):
        source.seek(0)
    return pd.read_csv(source, low_memory=False, **options)


def _with_points(column: "pd.Series") -> "pd.Series":
    """A column of texts whose numbers have decimal commas, with points."""
    import pandas as pd

    if column.dtype.kind in "fiub" or not column.astype(str).str.contains(",", regex=False).any():
        return column
    texts = column.dropna().astype(str)
    commas = texts[texts.str.contains(",", regex=False)]
    if commas.map(lambda text: bool(_GROUPS.fullmatch(text))).any():
        return column  # thousands
    if not commas.map(lambda text: bool(_DECIMAL_COMMA.fullmatch(text))).all():
        return column  # words
    replaced = texts.where(
        ~texts.str.contains(",", regex=False),
        texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False),
    )
    numbers = pd.to_numeric(replaced.reindex(column.index), errors="coerce")
    return numbers if numbers.notna().sum() == len(texts) else replaced.reindex(column.index)
