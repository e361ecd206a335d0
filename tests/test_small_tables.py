"""Tables without noise, rounded ones, and few rows with bad ones among them: answered, finite, and at once."""

import json

import numpy as np
import pytest

import scalefit as sf
from scalefit.model.noise import LEAST_NU, LEAST_SIGMA
from scalefit.model.resolution import floor_of_noise, rounding


def exact(rows):
    """N, D and losses of the published law: isoFLOP lines, or a few rows of four sizes."""
    if rows <= 16:
        params = 3e7 * 3.0 ** (np.arange(rows) % 4)
        tokens = params * 5 * 4.0 ** (np.arange(rows) // 4)
    else:
        flops = np.repeat(np.geomspace(1e18, 1e21, rows // 10), 10)
        params = np.sqrt(flops / 120) * np.tile(np.geomspace(0.1, 10, 10), rows // 10)
        tokens = flops / 6 / params
    return params, tokens, 1.8172 + 482.01 / params**0.3478 + 2085.43 / tokens**0.3658


def table(rows, bad=(), noise=0.0, store=float):
    params, tokens, loss = exact(rows)
    loss = (loss * np.exp(noise * np.random.default_rng(1).standard_normal(rows))).astype(store).astype(float)
    loss[list(bad)] *= 1.3
    return sf.Runs({"params": params, "tokens": tokens, "loss": loss})


TABLES = {
    "80 exact rows": (table(80), (0, 1e-4)),
    "80 exact rows and a bad one": (table(80, bad=[30]), (0, 1e-4)),
    "16 exact rows": (table(16), (0, 1e-4)),
    "8 rows in float32": (table(8, store=np.float32), (0, 1e-4)),
    "16 rows, two bad": (table(16, bad=[3, 9], noise=0.004), (1e-3, 1e-2)),
    "12 rows, two bad": (table(12, bad=[5, 6], noise=0.004), (1e-3, 0.1)),
}


@pytest.mark.parametrize(("runs", "size"), TABLES.values(), ids=TABLES)
@pytest.mark.filterwarnings("ignore::scalefit.errors.FitWarning")  # intervals of twelve runs, two bad, are rough
def test_small_exact_and_dirty_tables_are_answered(runs, size):
    """Without NUTS at the end of its time; it took over for exact ones, for up to two minutes."""
    fit = sf.fit(runs)
    assert "time" not in {check.name for check in fit.health.checks}
    assert np.isfinite(fit.summary()[["median", "lower", "upper"]].to_numpy()).all()
    sigma, nu, alpha = (fit.draws[name] for name in ("sigma", "nu", "alpha"))
    assert sigma.min() >= LEAST_SIGMA
    assert nu.min() >= LEAST_NU
    assert size[0] <= np.median(sigma) <= size[1]
    if size[0] == 0:
        assert np.median(alpha) == pytest.approx(0.3478, abs=1e-3)


def test_the_rounding_of_losses_is_known():
    """Decimals, float32, float16 and bfloat16; full digits have none to speak of."""
    loss = exact(80)[2]
    middle, step = np.exp(np.log(loss).mean()), 12**-0.5
    for decimals in (1, 2, 3, 4):
        assert rounding(np.round(loss, decimals)) == pytest.approx(step * 10.0**-decimals / middle, rel=1e-3)
    assert rounding(loss) == 0.0
    assert 0 < rounding(loss.astype(np.float32).astype(float)) < 1e-7
    half = rounding(loss.astype(np.float16).astype(float))
    assert half == pytest.approx(step * 2.0**-9 / middle, rel=1e-3), "ten bits after the first, below 4"
    brain = (loss.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32).astype(float)
    assert rounding(brain) == pytest.approx(8 * half, rel=1e-2)
    error = np.std(np.log(np.round(loss, 2)) - np.log(loss))
    assert rounding(np.round(loss, 2)) == pytest.approx(error, rel=0.3)


def test_no_noise_is_smaller_than_the_rounding():
    """Tables of like rounding share a model, and so a program."""
    floors = {}
    for decimals in (1, 2, 3, 4, 12):
        params, tokens, loss = exact(80)
        runs = sf.Runs({"params": params, "tokens": tokens, "loss": np.round(loss, decimals)})
        floors[decimals] = sf.Model().bind(runs).model.space.priors["sigma"].ends[0]
        assert floors[decimals] == floor_of_noise(runs.loss, LEAST_SIGMA)
    assert floors[12] == floors[4] == LEAST_SIGMA
    assert 1e-3 < floors[1] < 0.0289 / 2.4
    assert floors[1] > floors[2] > floors[3] > LEAST_SIGMA
    pinned = sf.Model(priors={"sigma": 1e-6}).bind(table(80)).model
    assert "sigma" not in pinned.free, "what is fixed stays"


def test_nuts_ends_when_its_time_is_up(chinchilla):
    """After the first steps, in the warm-up: few draws, finite, and health fails for it."""
    fit = sf.fit(chinchilla, engine=sf.NUTS(seconds=1e-9))
    check = next(check for check in fit.health.checks if check.name == "time")
    assert check.verdict == "fail"
    assert "1500" in check.sentence
    assert fit.draws["E"].shape == (4, 25)
    assert np.isfinite(fit.draws["E"]).all()
    with pytest.raises(sf.OptionError, match="seconds"):
        sf.NUTS(seconds=0)
    assert sf.Auto().fallback.seconds <= 15, "the default engine answers within 20 s"


@pytest.mark.parametrize("as_json", [False, True])
def test_the_law_is_printed_before_a_question_is_refused(run, tmp_path, as_json):
    """The larger, the worse: there is no best size, and the law is there to see."""
    rng = np.random.default_rng(7)
    params, tokens = np.exp(rng.uniform(18, 22, 40)), np.exp(rng.uniform(21, 25, 40))
    loss = 2 + 0.1 * np.log(params / 1e9) + 0.05 * rng.standard_normal(40)
    rows = "\n".join(f"{n:.6g},{d:.6g},{value:.5f}" for n, d, value in zip(params, tokens, loss, strict=True))
    path = tmp_path / "rising.csv"
    path.write_text(f"params,tokens,loss\n{rows}\n")
    status, out, err = run("fit", path, "--engine", "huber", *(["--json"] if as_json else []))
    assert status == 2
    assert "optimum" in err
    names = json.loads(out)["summary"] if as_json else out
    assert {"alpha", "sigma"} <= set(names if as_json else names.split())
