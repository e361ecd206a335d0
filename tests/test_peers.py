"""The table of peers is written whatever the clock says."""

import importlib.util
import sys
from pathlib import Path

import pytest

PEERS = Path(__file__).parents[1] / "benchmarks" / "peers"


@pytest.fixture(scope="module")
def peers():
    """benchmarks/peers/run.py as a module; nothing of it runs."""
    before = list(sys.path)
    spec = importlib.util.spec_from_file_location("peers_run", PEERS / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


def document(peer, run):
    seconds = {stage: {"cpu": run, "wall": run} for stage in ("setup", "run", "whole")}
    found = {name: [1.0, 1.1] for name in ("E", "ln N_opt")}
    return {"peer": peer, "method": "one", "kind": "point", "objective": 1e-3, "seconds": seconds, "found": found}


@pytest.mark.parametrize(("ours", "ratio"), [(0.0, "-"), (0.5, 4.0)])
def test_a_run_too_short_for_the_clock_has_no_ratio(peers, ours, ratio):
    documents = [document("scalefit", ours), document("scipy", 2.0)]
    assert peers._rows(documents, peers._point)[1][-1] == ratio
    resampled = [each | {"resamples": 10, "found": dict.fromkeys((*peers.LAW, "objectives"), peers.np.ones(10))}
                 for each in documents]  # fmt: skip
    assert peers._rows(resampled, peers._bootstrap)[1][-1] == ratio
    assert peers._rows([documents[1]], peers._point)[0][-1] == "-"
