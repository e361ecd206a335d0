"""Recipes compared: predictions of public pairs, the same recipe twice, simulated gains, power, and speed.

    python benchmarks/recipes.py [scales pairs twice simulated speed]      # writes benchmarks/results/recipes.md

Public pairs are the tuning, warm-up and decay variants of two corpora, read in place (see data/README.md): a sweep of A
and a few runs of B, both up to a share of the largest compute, predict ln L_B - ln L_A of the runs beyond, at the same
N and D. Beside separate laws for A and for B, a constant ratio of losses, and a bootstrap of Huber fits to each.
"""

import itertools
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from recipes_linear import learn
from recipes_simulated import simulated, speed, twice
from scipy.optimize import least_squares
from scipy.stats import binom

import scalefit as sf

DATA = Path(__file__).parents[2] / "shared/data/eval"
RESULTS = Path(__file__).parent / "results"
SETTINGS = ((4, 10.0), (8, 10.0), (4, 3.0), (8, 3.0))
DRAWS = 1000
# What `recipes_linear.py` chooses for each corpus from the other alone.
LEFT_OUT = {"owt2": sf.Differences(0.12, 0.015, own=(0.4, 1.0)), "rw": sf.Differences(0.12, 0.04, own=(0.4, 1.0))}


def public_recipes() -> dict[str, dict[str, pd.DataFrame]]:
    """Corpus -> recipe -> params, tokens, loss."""
    table = pd.read_csv(DATA / "counting_sweeps.csv")
    keep = (table.param_count == "standard") & (table.val == "val") & (table.tokens / table.params > 1.5)
    table, by = table[keep & (table.loss < 5)], ["hparams", "warmup", "decay"]
    return {
        corpus: {" ".join(k): g[["params", "tokens", "loss"]].astype(float) for k, g in part.groupby(by)}
        for corpus, part in table.groupby("dataset")
    }


def cases():
    """Corpus, runs of B, cut, the sweep of A, few runs of B, and both recipes' larger runs of the same N and D."""
    for number, (corpus, group) in enumerate(public_recipes().items()):
        for pair, (a, b) in enumerate(itertools.permutations(sorted(group), 2)):
            ta, tb = group[a], group[b]
            fa, fb = 6 * ta.params * ta.tokens, 6 * tb.params * tb.tokens
            for few, cut in SETTINGS:
                limit = 1.02 * fa.max() / cut
                held = ta[fa > limit].merge(tb, on="params", suffixes=("", "_b"))
                held = held[np.abs(np.log(held.tokens / held.tokens_b)) < 0.03]
                if min(len(ta[fa <= limit]) - 14, len(tb[fb <= limit]) - few + 1, len(held) - 2) > 0:
                    some = tb[fb <= limit].sample(few, random_state=100 * number + pair)
                    yield corpus, few, cut, ta[fa <= limit], some, held


def jointly(a, b, held, seed=0, **options):
    """Draws of ln L_B - ln L_A of one run each, (draw, run)."""
    fits = sf.fit_recipes({"A": dict(a.items()), "B": dict(b.items())}, baseline="A", seed=seed, **options)
    x = {name: held[name].to_numpy() for name in ("params", "tokens")}
    return np.log(fits["B"].predict(x)) - np.log(fits["A"].predict(x))


def law(u, n, d):
    """ln L of u = ln E, ln A, ln B, ln alpha, ln beta."""
    return np.logaddexp(np.logaddexp(u[0], u[1] - np.exp(u[3]) * n), u[2] - np.exp(u[4]) * d)


def centred(a, *others):
    """ln N and ln D of tables, less their means in the first."""
    n0, d0 = np.log(a.params).mean(), np.log(a.tokens).mean()
    return [(np.log(t.params.to_numpy()) - n0, np.log(t.tokens.to_numpy()) - d0) for t in (a, *others)]


def separate_law(x, y, at, rng):
    """Draws of ln L of one run at places, from a law of these runs alone with its discrepancy: linear and normal."""
    level, scales = y.mean(), (0.0245, 3.5, 0.0133)
    m0 = np.r_[level + np.log([0.55, 0.25, 0.25]), np.log([0.34, 0.34])]
    s0 = np.array([0.4, 1.0, 1.0, 0.12, 0.12])
    u = least_squares(lambda u: np.r_[(law(u, *x) - y) / 0.004, (u - m0) / s0], m0, loss="soft_l1").x
    left = y - law(u, *x)
    sigma = max(1.4826 * np.median(np.abs(left - np.median(left))), 5e-4)

    def kernel(p, q):
        c = np.subtract.outer(p[0] + p[1], q[0] + q[1])
        r = np.subtract.outer(p[1] - p[0], q[1] - q[0])
        return scales[0] ** 2 * np.exp(-0.5 * (c / scales[1]) ** 2) + scales[2] ** 2 * np.exp(-(c**2) / 32 - r**2 / 18)

    slope = lambda p: np.stack([(law(u + s, *p) - law(u, *p)) / 1e-5 for s in 1e-5 * np.eye(5)], 1)
    j, k = slope(x), slope(at)
    cov = (j * s0**2) @ j.T + kernel(x, x) + sigma**2 * np.eye(len(y))
    cross = (k * s0**2) @ j.T + kernel(at, x)
    mean = law(u, *at) + k @ (m0 - u) + cross @ np.linalg.solve(cov, left - j @ (m0 - u))
    var = (k * s0**2) @ k.T + kernel(at, at) - cross @ np.linalg.solve(cov, cross.T)
    sd = np.sqrt(np.maximum(np.diag(var), 1e-12) + 1.6 * sigma**2)
    return mean + sd * rng.standard_normal((DRAWS, len(mean)))


def huber_law(x, y, at, rng, resamples=16):
    """Predictions at places of a bootstrap of Huber fits."""
    level = y.mean()
    start = np.r_[level + np.log([0.55, 0.25, 0.25]), np.log([0.34, 0.34])]
    ends = start - np.r_[5, 8, 8, 1.5, 1.5], start + np.r_[0.55, 4, 4, 1.0, 1.0]
    found = []
    for _ in range(resamples):
        i = rng.integers(len(y), size=len(y))
        off = partial(lambda i, u: law(u, x[0][i], x[1][i]) - y[i], i)
        fit = least_squares(off, start, loss="huber", f_scale=1e-3, bounds=ends, max_nfev=60)
        found.append(law(fit.x, *at))
    return np.array(found)


def beside(a, b, held, seed):
    """The same draws by separate laws, by a constant ratio, and by a bootstrap of Huber fits."""
    rng = np.random.default_rng(seed)
    xa, xb, at = centred(a, b, held)
    ya, yb = np.log(a.loss.to_numpy()), np.log(b.loss.to_numpy())
    separate = separate_law(xb, yb, at, rng) - separate_law(xa, ya, at, rng)
    at_b = np.median(separate_law(xa, ya, xb, rng), axis=0)
    ratio = yb - at_b
    constant = ratio.mean() + ratio.std(ddof=1) / np.sqrt(len(ratio)) * rng.standard_t(len(ratio) - 1, (DRAWS, 1))
    huber = huber_law(xb, yb, at, rng) - huber_law(xa, ya, at, rng)
    return {"separate laws": separate, "ratio rule": np.tile(constant, len(held)), "Huber, bootstrap": huber}


def scores(draws, truth):
    """Inside 50 and 90 %, CRPS, median error, width, right sign."""
    draws = np.sort(draws, axis=0)
    low, q1, mid, q3, high = np.quantile(draws, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
    count = len(draws)
    order = (2 * np.arange(1, count + 1) - count - 1)[:, None]
    crps = np.abs(draws - truth).mean(0) - (order * draws).sum(0) / count**2
    return {
        "c50": ((truth > q1) & (truth < q3)).mean(),
        "c90": ((truth > low) & (truth < high)).mean(),
        "crps": crps.mean(),
        "error": np.abs(mid - truth).mean(),
        "width": (high - low).mean(),
        "sign": (np.sign(mid) == np.sign(truth)).mean(),
    }


def pairs():
    """A row for every case and method."""
    rows = []
    for number, (corpus, few, cut, a, b, held) in enumerate(cases()):
        truth = np.log(held.loss_b / held.loss).to_numpy()
        found = {"joint": jointly(a, b, held, number, differences=LEFT_OUT[corpus])} | beside(a, b, held, number)
        for method, draws in found.items():
            rows.append(
                {"number": number, "corpus": corpus, "few": few, "cut": cut, "method": method, **scores(draws, truth)}
            )
    return pd.DataFrame(rows)


def scales():
    """What `recipes_linear.py` finds on two settings of each pair."""
    return learn((case for case in cases() if case[1] == 4), scores)


STAGES = {"scales": scales, "pairs": pairs, "twice": twice, "simulated": simulated, "speed": speed}


def markdown(table, digits=3):
    """A data frame as a table of Markdown."""
    cell = lambda value: f"{value:.{digits}f}" if isinstance(value, float) else str(value)
    rows = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy(dtype=object).tolist()]
    return "\n".join("| " + " | ".join(map(cell, row)) + " |" for row in rows)


def page(found):
    """The results as Markdown."""
    parts = ["# Recipes compared\n", __doc__.split("\n\n")[2].strip() + "\n"]
    if "scales" in found:
        by = found["scales"].groupby(["corpus", "multiplier", "floor"])[["c50", "c90", "crps", "lpd"]].mean()
        parts += [
            "## Scales of differences\n",
            "By the joint model linearised, four runs of B; lpd is the mean ln density of a difference. Each corpus "
            "is scored with what the other chooses; the defaults lie between the two choices.\n",
            markdown(by.reset_index(), 4) + "\n",
        ]
    if "pairs" in found:
        table, columns = found["pairs"], ["c50", "c90", "crps", "error", "width", "sign"]
        common = table[table.groupby("number").method.transform("nunique") == table.method.nunique()]
        mean = common.groupby("method")[columns].mean().sort_values("crps")
        ratio = mean.crps["joint"] / mean.crps
        parts += [
            f"## Public pairs: {table.number.nunique()} cases of 24 ordered pairs\n",
            "Scales of differences chosen on the other corpus alone. Share inside nominal 50 and 90 % intervals, CRPS, "
            "median error of ln L_B - ln L_A, width of the 90 % interval, right sign.\n",
            f"On the {common.number.nunique()} cases that all methods were run on:\n",
            markdown(mean.assign(crps_of_joint_over_this=ratio).reset_index(), 4) + "\n",
            "On all cases of each method:\n",
            markdown(table.groupby(["method", "few", "cut"])[columns].mean().reset_index(), 4) + "\n",
            markdown(table.groupby(["method", "corpus"])[columns].mean().reset_index(), 4) + "\n",
        ]
    if "twice" in found:
        table = found["twice"]
        by = table.groupby("few")
        share = by.verdict.value_counts(normalize=True).unstack(fill_value=0.0).reset_index()
        tenths = pd.DataFrame({str(few): np.histogram(g.chance, 10, (0, 1))[0] for few, g in by}).T.reset_index()
        parts += [
            f"## The same recipe twice: the Chinchilla runs split at random, {len(table)} splits\n",
            "Verdicts at 1e23 FLOP, by runs of the second half:\n",
            markdown(share) + "\n",
            "P(gain > 1) is not uniform here: the prior, centred on no difference, shrinks it to one half, so that "
            f"false verdicts are rarer than stated. In tenths (a uniform one has {len(table) / len(by) / 10:.0f} in "
            f"each, 95 % of them {band(len(table) // len(by))}):\n",
            markdown(tenths, 0) + "\n",
        ]
    if "simulated" in found:
        table = found["simulated"]
        mean = table[["c50", "c90"]].astype(float).groupby([table.gain, table.runs]).mean()
        mean["worlds"] = table.groupby(["gain", "runs"]).size()
        chances = table.groupby(["gain", "runs"]).verdict.value_counts(normalize=True).unstack(fill_value=0.0)
        whole = table[["c50", "c90"]].astype(float).mean()
        parts += [
            "## Simulated gains\n",
            f"Multipliers and discrepancies drawn from the priors in use, 80 runs of A; ten times their "
            f"largest compute. {len(table)} worlds: nominal 50 and 90 % intervals hold {whole.c50:.0%} and "
            f"{whole.c90:.0%} of the true gains. Those differ from the gain of the multipliers, in the "
            "first column, by the discrepancies, so that a verdict at gain 1 may be right.\n",
            markdown(mean.join(chances).reset_index()) + "\n",
        ]
    if "speed" in found:
        parts += [
            "## Speed\n",
            "CPU seconds after compiling, 240 runs of A and 4 of each other.\n",
            markdown(found["speed"], 2),
        ]
    return "\n".join(parts).rstrip() + "\n"


def band(count):
    """Central 95 % of a count in one tenth."""
    low, high = binom.ppf([0.025, 0.975], count, 0.1)
    return f"{low:.0f} to {high:.0f}"


def main(stages):
    """Run the stages named, all by default; keep their rows, and write the page from all there are."""
    kept = RESULTS / "recipes.json"
    rows = json.loads(kept.read_text()) if kept.exists() else {}
    for stage in stages or STAGES:
        rows[stage] = json.loads(STAGES[stage]().to_json(orient="records", double_precision=5))
        kept.write_text(json.dumps(rows, indent=0))
    (RESULTS / "recipes.md").write_text(page({stage: pd.DataFrame(some) for stage, some in rows.items()}))


if __name__ == "__main__":
    main(sys.argv[1:])
