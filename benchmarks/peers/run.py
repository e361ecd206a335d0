"""The peers and scalefit on the same 240 Chinchilla runs: quality beside CPU seconds.

    python benchmarks/peers/run.py [--only NAME ...] [--resamples N] [--timeout S] [--to TABLE]

Every peer has an environment of its own, made on demand from its pinned requirements under the cache folder
($XDG_CACHE_HOME or ~/.cache)/scalefit-peers; scalefit runs in this interpreter's. Every method runs alone in a
process with empty compilation caches. Its JSON document and draws stay in the cache folder, so that `--only` renews
a part of benchmarks/results/peers.md, which is generated from all of them.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from machine import describe, write_table

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "data" / "chinchilla.csv"
REFERENCE = HERE.parents[1] / "tests" / "reference" / "chinchilla_240.json"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scalefit-peers"
PEERS = ("scalefit", "chinchilla", "scipy", "pymc", "stan", "numpyro", "emcee")
RESULTS = HERE.parent / "results" / "peers.md"
WANTED_ESS, WANTED_RESAMPLES = 4000, 4000
LAW = ("E", "A", "B", "alpha", "beta", "a")
Document = dict


def main() -> None:
    """Run what is asked for, then write the table of everything there is."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", choices=PEERS, default=PEERS, metavar="NAME", help=", ".join(PEERS))
    parser.add_argument("--resamples", type=int, default=WANTED_RESAMPLES, help="of every bootstrap")
    parser.add_argument("--timeout", type=float, default=900, help="wall seconds a method may take")
    parser.add_argument("--to", type=Path, default=RESULTS, help="the table to write")
    options = parser.parse_args()
    for peer in options.only:
        measure(peer, options.resamples, options.timeout)
    report(options.to)


def measure(peer: str, resamples: int, timeout: float) -> None:
    """Run every method of a peer, and keep a document of each, or of the error that it ended in."""
    results = CACHE / "results"
    results.mkdir(parents=True, exist_ok=True)
    methods = _methods(peer)
    for old in results.glob(f"{peer}-*.json"):
        old.unlink()
    for number, (name, (kind, words)) in enumerate(methods.items()):
        print(f"{peer}: {name}", file=sys.stderr, flush=True)
        document = {"peer": peer, "method": name, "kind": kind, "words": words}
        document |= _attempt(peer, name, resamples, timeout)
        (results / f"{peer}-{number}.json").write_text(json.dumps(document, indent=2) + "\n")


def _methods(peer: str) -> dict[str, list[str]]:
    """name -> [kind, words]; listing imports only numpy, so that a peer that cannot be installed has its rows too."""
    script = [sys.executable, HERE / f"peer_{peer}.py", "--list"]
    return json.loads(subprocess.run(script, check=True, capture_output=True, text=True).stdout)


def _attempt(peer: str, method: str, resamples: int, timeout: float) -> Document:
    """The document that the method's process prints, with the seconds of the whole process; or the error."""
    try:
        command = [environment(peer), HERE / f"peer_{peer}.py", TABLE, CACHE / "results", "--method", method]
        output, whole = _timed([*map(str, command), "--resamples", str(resamples)], timeout)
        document = json.loads(output.splitlines()[-1])
        return document | {"seconds": document["seconds"] | {"whole": whole}}
    except subprocess.CalledProcessError as problem:
        return {"error": _last_line(problem.stderr)}
    except (ValueError, IndexError) as problem:
        return {"error": f"printed no document: {problem}"}
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {timeout:.0f} s"}


def environment(peer: str) -> Path:
    """The interpreter of a peer's environment, made anew where its requirements or this Python have changed."""
    if peer == "scalefit":
        return Path(sys.executable)
    requirements, folder = HERE / "requirements" / f"{peer}.txt", CACHE / peer
    python, stamp = folder / "bin" / "python", folder / "made-from.txt"
    recipe = f"{sys.version}\n{requirements.read_text()}"
    if not stamp.exists() or stamp.read_text() != recipe:
        shutil.rmtree(folder, ignore_errors=True)
        _checked([sys.executable, "-m", "venv", folder])
        _checked([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", requirements])
        stamp.write_text(recipe)
    return python


def _checked(command: list) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)


def _timed(command: list[str], timeout: float) -> tuple[str, dict[str, float]]:
    """What a process printed, and its CPU and wall seconds with those of all its children; none outlives it."""
    before, start = _children_cpu(), time.perf_counter()
    with tempfile.TemporaryDirectory() as empty:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, env=_cold(empty), start_new_session=True, cwd=empty, **pipes)
        try:
            output, errors = process.communicate(timeout=timeout)
        finally:
            _end(process)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output, errors)
    return output, {"cpu": _children_cpu() - before, "wall": time.perf_counter() - start}


def _end(process: subprocess.Popen) -> None:
    """End the process and its children where they still live."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _cold(folder: str) -> dict[str, str]:
    """An environment in which every compiler's cache is empty; BLAS threads would only spin on arrays this small."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_COMPILATION", "PYTHONPATH", "VIRTUAL_ENV"))}
    caches = {"XDG_CACHE_HOME": folder, "NUMBA_CACHE_DIR": folder, "PYTENSOR_FLAGS": f"base_compiledir={folder}"}
    return kept | caches | {"OPENBLAS_NUM_THREADS": "1"}


def _children_cpu() -> float:
    """User and system seconds of all finished children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _last_line(errors: str | None) -> str:
    """The exception at the end of a traceback."""
    lines = [line.strip() for line in (errors or "").splitlines() if line.strip() and not line.startswith("WARNING")]
    return (lines or ["ended without a word"])[-1][:200].replace("|", "/")


def report(to: Path) -> None:
    """A table from every document in the cache folder."""
    results = CACHE / "results"
    documents = [json.loads(path.read_text()) for peer in PEERS for path in sorted(results.glob(f"{peer}-*.json"))]
    for document in documents:
        document["found"] = dict(np.load(results / document["draws"])) if "draws" in document else {}
    kinds = {kind: [d for d in documents if d["kind"] == kind] for kind in ("posterior", "point", "bootstrap")}
    write_table(
        to,
        "scalefit and its peers on the 240 Chinchilla runs",
        f"{describe('arviz-stats')}\n\n{NOTES}",
        *((header, _rows(found, row)) for (header, row), found in zip(TABLES, kinds.values(), strict=True) if found),
        (["estimates (medians of draws)", *LAW, "objective there"], [_estimates(d) for d in documents]),
        (["method", "what was run", "what it said"], [[_name(d), d["words"], d.get("notes", "")] for d in documents]),
        (["peer", "versions"], _versions(documents)),
    )


def _rows(documents: list[Document], row) -> list[list]:
    """A row a method; of one that failed, the error."""
    ours = next((d for d in documents if d["peer"] == "scalefit" and "error" not in d), None)
    best = _best_objectives(documents)
    return [
        [_name(d), f"failed: {d['error']}"] + [""] * 8 if "error" in d else [_name(d), *row(d, ours, best)]
        for d in documents
    ]


def _posterior(document: Document, ours: Document | None, best: np.ndarray) -> list:
    """ESS, R-hat, distance from the reference, seconds."""
    ess, r_hat = _convergence(document)
    price = _price(document)
    ratio = _ratio(price, _price(ours) if ours else 0.0)
    return [ess, f"{r_hat:.4f}" if r_hat else "-", _distance(document), *_seconds(document), price, ratio]


def _point(document: Document, ours: Document | None, best: np.ndarray) -> list:
    """Objective, distance from the reference, seconds."""
    ratio = _ratio(_run(document), _run(ours) if ours else 0.0)
    return [f"{document['objective']:.6e}", _distance(document), *_seconds(document), ratio]


def _bootstrap(document: Document, ours: Document | None, best: np.ndarray) -> list:
    """Standard errors, how far objectives lie above the best that any peer found, seconds."""
    found, n = document["found"], document["resamples"]
    excess = found["objectives"] - best[:n]
    errors = " ".join(f"{name} {found[name].std(ddof=1):.3g}" for name in LAW)
    per_resample = _run(document) / n
    ratio = _ratio(per_resample, _run(ours) / ours["resamples"] if ours else 0.0)
    worse = f"{int((excess > 1e-8).sum())}"
    return [n, errors, worse, excess.max(), *_seconds(document), per_resample * WANTED_RESAMPLES, ratio]


def _ratio(seconds: float, ours: float) -> float | str:
    """To scalefit's seconds; a dash where there are none, or too few for the clock."""
    return seconds / ours if ours > 0 else "-"


SECONDS = ["setup CPU s", "run CPU s", "run wall s", "whole process CPU s"]
TABLES = (
    (["posterior", "ESS", "R-hat", "distance, sd", *SECONDS, f"CPU s to ESS {WANTED_ESS}", "× scalefit"], _posterior),
    (["point fit", "objective", "distance, sd", *SECONDS, "× scalefit"], _point),
    (
        ["bootstrap", "resamples", "standard errors", "worse than the best", "excess, largest", *SECONDS]
        + [f"run CPU s for {WANTED_RESAMPLES}", "× scalefit"],
        _bootstrap,
    ),
)
NOTES = (
    f"""Every method runs alone in a process of its own, with empty compilation caches. Setup is imports and
compilation; where a program compiles as it first runs (scalefit, NumPyro), it runs twice, the run is the second, and
setup is what the first took beyond it. CPU seconds are user and system, of all child processes too.

ESS is the least bulk effective sample size and R-hat the largest (rank-normalised; Vehtari et al. 2021) over E, A, B,
alpha, beta, sigma, nu, a and ln N_opt at 5.76e23 FLOP. Distance is the largest |median - reference median| over the
same quantities, in standard deviations of the reference posterior (200,000 draws); Monte Carlo alone gives about
{1.25 / WANTED_ESS**0.5:.2f} at an ESS of {WANTED_ESS}. CPU seconds to ESS {WANTED_ESS} scale the run, warm-up included,
by ESS. Objective is the sum of Huber's loss (delta 1e-3) of ln loss. A bootstrap's objectives are compared with the
best that any bootstrap here reached on the same resampled table: how many are worse by more than 1e-8, and by how much
the worst. The last column divides by scalefit's figure of the same kind: run CPU seconds to ESS {WANTED_ESS}, of the
run, or per resample.""".replace("\n\n", "\0")
    .replace("\n", " ")
    .replace("\0", "\n\n")
)


def _name(document: Document) -> str:
    return f"{document['peer']}: {document['method']}"


def _run(document: Document) -> float:
    """CPU seconds of the run, compilation apart."""
    return document["seconds"]["run"]["cpu"]


def _seconds(document: Document) -> list[float]:
    """In the order of `SECONDS`."""
    seconds = document["seconds"]
    return [seconds["setup"]["cpu"], _run(document), seconds["run"]["wall"], seconds["whole"]["cpu"]]


def _price(document: Document) -> float:
    """Run CPU seconds to `WANTED_ESS`, had the run been longer or shorter."""
    return _run(document) * WANTED_ESS / _convergence(document)[0]


def _convergence(document: Document) -> tuple[float, float | None]:
    """Least bulk ESS and largest R-hat; where the peer estimates its ESS itself, chains are not independent."""
    from arviz_stats.base.array import array_stats

    if document["ess"]:
        return document["ess"], None
    axes = {"chain_axis": 0, "draw_axis": 1}
    draws = document["found"].values()
    ess = min(float(array_stats.ess(values, method="bulk", **axes)) for values in draws)
    return ess, max(float(array_stats.rhat(values, method="rank", **axes)) for values in draws)


def _distance(document: Document) -> float:
    """Largest |median - reference median| / reference sd over what both have."""
    reference = json.loads(REFERENCE.read_text())["quantities"]
    medians = {name: float(np.median(values)) for name, values in document["found"].items()}
    medians["N_opt[5.76e23]"] = float(np.exp(medians["ln N_opt"]))
    known = medians.keys() & reference.keys()
    return max(abs(medians[name] - reference[name]["median"]) / reference[name]["sd"] for name in known)


def _best_objectives(documents: list[Document]) -> np.ndarray:
    """The lowest objective that any bootstrap reached on each resampled table, (resample,)."""
    reached = [d["found"]["objectives"] for d in documents if "objectives" in d["found"]]
    longest = max((len(values) for values in reached), default=0)
    padded = [np.pad(values, (0, longest - len(values)), constant_values=np.inf) for values in reached]
    return np.min(padded, axis=0) if padded else np.empty(0)


def _estimates(document: Document) -> list:
    """The law's parameters, and Huber's objective where the method is a point fit."""
    if "error" in document:
        return [_name(document), *[""] * (len(LAW) + 1)]
    values = [f"{document['estimates'][name]:.5g}" for name in LAW]
    return [_name(document), *values, f"{document['objective']:.6e}" if document["objective"] else "-"]


def _versions(documents: list[Document]) -> list[list[str]]:
    """One row a peer."""
    known = {d["peer"]: d["versions"] for d in documents if "versions" in d}
    return [[peer, ", ".join(f"{k} {v}" for k, v in found.items())] for peer, found in known.items()]


if __name__ == "__main__":
    main()
