"""The picture of the README, made anew: `python docs/make_pictures.py`. Those of the site are made by its pages."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import scalefit as sf

if __name__ == "__main__":
    fit = sf.fit(sf.datasets.load("chinchilla"))
    sf.plots.frontier(fit).ravel()[0].figure.savefig(Path(__file__).parent / "frontier.png", dpi=110)
