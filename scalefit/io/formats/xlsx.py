"""Excel workbooks."""

import zipfile
from pathlib import Path
from typing import final

from scalefit.errors import DataError
from scalefit.io.formats._format import Format, Logged

LARGEST = 1 << 30  # bytes of a workbook once unpacked


@final
class Xlsx(Format):
    """The first sheet of a workbook that has a table."""

    name = "xlsx"
    about = "Excel: the first sheet with a table (install openpyxl)"

    def recognises(self, path: Path, head: bytes) -> bool:
        """An archive with a workbook in it."""
        if head[:4] != b"PK\3\4":
            return False
        try:
            with zipfile.ZipFile(path) as archive:
                return "xl/workbook.xml" in archive.namelist()
        except (zipfile.BadZipFile, OSError, ValueError):
            return False

    def read(self, path: Path) -> Logged:
        """The table below the first row of names; what stands above it is skipped."""
        import pandas as pd

        try:
            import openpyxl  # noqa: F401
        except ImportError:
            raise DataError(
                f"{path.name} is an Excel workbook, and openpyxl is not installed. "
                "Run `pip install openpyxl`, or save the sheet as CSV."
            ) from None
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > LARGEST:
                raise DataError(f"{path.name} unpacks to more than 1 GiB. Save the sheet as CSV.")
        sheets = pd.read_excel(path, sheet_name=None, header=None, engine="openpyxl", dtype=object)
        for name, cells in sheets.items():
            for row in range(min(len(cells), 100)):
                if (names := [value for value in cells.iloc[row] if isinstance(value, str) and value.strip()])[1:]:
                    if len(names) < cells.iloc[row].notna().sum():
                        continue
                    frame = _below(cells, row)
                    several = f"{path.name} has {len(sheets)} sheets; {str(name)!r} was read"
                    return Logged(frame, (several,) if len(sheets) > 1 else ())
        raise DataError(f"{path.name} has no sheet with a row of names. Put the names of the columns into one row.")


def _below(cells: "pd.DataFrame", row: int) -> "pd.DataFrame":  # type: ignore[name-defined]  # noqa: F821
    header = cells.iloc[row]
    frame = cells.iloc[row + 1 :].loc[:, header.notna().to_numpy()].dropna(how="all").reset_index(drop=True)
    return frame.set_axis([str(name).strip() for name in header.dropna()], axis=1)
