"""Simulation-based calibration of the posterior with discrepancy: law, noise, scales and paths beyond the runs.

    python benchmarks/sbc_discrepancy.py [--tables 300] [-o benchmarks/results/sbc_discrepancy.md]

Truths are those of tests/joint_truths.py, on every fourth of the 240 Chinchilla runs. The second part is of a sampler
that is wrong on purpose, whose paths are too smooth between and beyond the runs, and must fall outside its bands.
"""

import argparse
import sys
import time
from pathlib import Path

from machine import describe, write_table

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from joint_truths import joint_sbc, too_smooth

HEADER = ["sampler", "quantity", "difference", "p", "inside", "50 % intervals hold", "90 % intervals hold"]


def main() -> None:
    """Both parts, the quantity that is furthest from uniform ranks first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=300)
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results/sbc_discrepancy.md"))
    options = parser.parse_args()
    rows, words = [], []
    for name, spoil in (("right", None), ("too smooth", too_smooth)):
        start = time.process_time()
        found = joint_sbc(options.tables, spoil=spoil)
        words.append(
            f"{name}: {options.tables} tables, {len(found.failures)} failed, {time.process_time() - start:.0f} CPU-s"
        )
        for quantity, row in found.summary().iterrows():
            cover = (f"{row[column]:.1%}" for column in ("cover_50", "cover_90"))
            inside = "yes" if row["inside"] else "no"
            rows.append([name, quantity, f"{row['difference']:.2f}", f"{row['p_value']:.3g}", inside, *cover])
        where = f"{describe()}. {'; '.join(words)}. Bands: 5 % false alarms over all quantities of a sampler."
        write_table(options.output, "Calibration of law and discrepancy together", where, (HEADER, rows))


if __name__ == "__main__":
    main()
