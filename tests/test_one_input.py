"""Laws without an allocation, from a table to answers, files and pictures; and repeated data, named."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import scalefit as sf
from scalefit.diagnostics.design import check_design
from scalefit.diagnostics.repetition import check_repetition

X = np.geomspace(1e7, 1e10, 24)
TRUTH = {"E": 1.8, "A": 480.0, "alpha": 0.35, "sigma": 0.004, "nu": 8.0}
LAWS = ("power-law(input=tokens)", "kaplan-n", "broken(input=flops)")


def column(law):
    return sf.Model(law).law.inputs[0]


def table(law="power-law(input=tokens)"):
    loss = (1.8 + 480 * X**-0.35) * np.exp(0.004 * np.random.default_rng(0).standard_normal(len(X)))
    return {column(law): X, "loss": loss}


@pytest.fixture(scope="module")
def one_input(quick):
    """README's own power-law(input=tokens), of a table that has tokens and losses only."""
    return sf.fit(table(), sf.Model(LAWS[0]), engine=quick)


def test_the_least_input_inverts_every_draw(one_input):
    """x = (A / (L - E))^(1/alpha), draw by draw, and infinite where E is above the loss."""
    found = sf.least_input(one_input, 2.0)
    theta = one_input.theta
    exact = (theta["A"] / (2.0 - theta["E"])) ** (1 / theta["alpha"])
    np.testing.assert_allclose(found.draws["tokens"], exact, rtol=1e-4)
    assert found.even == pytest.approx(np.median(exact), rel=1e-2)
    assert np.mean(exact <= found.sure * (1 + 1e-4)) == pytest.approx(0.9, abs=2e-3)
    assert 0.4 < found.one_run[0] < 0.6 < found.one_run[1] < 0.9
    assert "tokens" in repr(found)
    assert found.to_xarray()["tokens"].attrs["units"] == "tokens"
    with pytest.raises(sf.QuestionError, match="out of reach"):
        sf.least_input(one_input, 1.5)


def test_other_inputs_of_a_law_are_given(small_fit):
    with pytest.raises(sf.QuestionError, match="2 are open"):
        sf.least_input(small_fit, 2.5)
    at = sf.least_input(small_fit, 2.5, params=1e9)
    theta = small_fit.theta
    left = 2.5 - theta["E"] - theta["A"] * 1e9 ** -theta["alpha"]
    np.testing.assert_allclose(at.draws["tokens"], (theta["B"] / left) ** (1 / theta["beta"]), rtol=1e-3)


def test_a_law_without_an_allocation_says_so(one_input):
    for question in (
        lambda: sf.plan(one_input, 1e21),
        lambda: sf.target(one_input, 2.0),
        lambda: sf.audit(one_input),
        lambda: one_input.frontier(1e21),
        lambda: sf.loss_surface(one_input, [1e9], [1e10]),
        lambda: sf.plots.frontier(one_input),
        lambda: sf.plots.isoflops(one_input),
        lambda: sf.plots.surface(one_input),
    ):
        with pytest.raises(sf.QuestionError, match="power-law law has no allocation"):
            question()


def test_one_input_on_the_command_line(one_input, run, tmp_path):
    """Predict, target and picture; what needs an allocation is refused in one line."""
    file = one_input.save(tmp_path / "one.nc")
    code, out, _ = run("predict", file, "--tokens", "1T,2T", "--plot", tmp_path / "one.png")
    assert code == 0
    assert "law only" in out
    assert (tmp_path / "one.png").stat().st_size > 10_000
    code, out, _ = run("target", file, "--loss", "2.0")
    assert code == 0
    assert "least value of tokens" in " ".join(out.split())
    _, out, _ = run("target", file, "--loss", "2.0", "--json")
    assert json.loads(out)["input"] == "tokens"
    for command in (
        ("plan", "--budget", "1e21"),
        ("frontier",),
        ("lifetime", "--quality", "2", "--inference-tokens", "1T"),
    ):
        code, out, err = run(command[0], file, *command[1:])
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert "no allocation" in err
    plt.close("all")


COURSE = (
    "Model,Params(M),n_layer,Train Loss(1 epoch),Val Loss (1 epoch)\n"
    "tiny,0.41M,2,0.6385,0.6377\nsmall,3.17M,4,0.3996,0.3987\nmedium,10.66M,6,0.3542,0.3502\n"
    "large,25.23M,8,0.3322,0.3349\nxl,59.06M,12,0.3188,0.3211\n"
)


def test_the_table_of_a_course(run, tmp_path):
    """Five runs, sizes in millions, columns named by hand: fitted, and asked at any N."""
    (tmp_path / "runs.csv").write_text(COURSE)
    file, named = tmp_path / "fit.nc", ("--params", "Params(M)", "--loss", "Val Loss (1 epoch)")
    code, _, err = run("fit", tmp_path / "runs.csv", "--law", "power-law", *named, "--engine", "map", "-o", file)
    assert code in (0, 1), err
    _, out, _ = run("predict", file, "--params", "1B", "--json")
    assert 0.25 < json.loads(out)["predictions"][0]["loss"]["median"] < 0.32
    _, out, _ = run("target", file, "--loss", "0.33", "--json")
    assert 1e7 < json.loads(out)["even"]["value"] < 1e8


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
def test_every_law_of_one_input_is_fitted_and_asked(law, run, tmp_path):
    """No column but the input and the loss is needed."""
    source, file = tmp_path / "runs.csv", tmp_path / "fit.nc"
    pd.DataFrame(table(law)).to_csv(source, index=False)
    code, _, err = run("fit", source, "--law", law, "--engine", "map", "-o", file)
    assert code in (0, 1), err
    _, out, _ = run("predict", file, f"--{column(law)}", "1e11")
    assert "expected loss" in out
    code, _, err = run("target", file, "--loss", "2.1")
    assert code in (0, 1), err


def repeated(epochs, unique=1e8, sizes=(1e8, 2e8, 4e8, 8e8)):
    """Losses of Muennighoff et al.'s law of one data set seen several times."""
    n, e = (values.ravel() for values in np.meshgrid(sizes, epochs))
    x = {"params": n, "tokens": e * unique, "unique_tokens": np.full(len(n), unique)}
    theta = sf.Model("data-constrained").law.reference()[0].theta
    return sf.Runs({**x, "loss": np.asarray(sf.Model("data-constrained").law.loss(theta, x))})


def checks(runs, law="chinchilla"):
    return {check.name: check for check in check_repetition(sf.Model(law).bind(runs))}


def test_one_data_set_identifies_repetition():
    """U is the same in all rows and D/U is not; where nothing is repeated the table is refused."""
    bound = sf.Model("data-constrained").bind(repeated(np.geomspace(1, 64, 7)))
    assert {check.name: check.verdict for check in check_design(bound)}["range of unique_tokens"] == "ok"
    with pytest.raises(sf.DataError, match="unique_tokens are the same"):
        sf.Model("data-constrained").bind(repeated([0.1, 0.2, 0.3, 0.5, 1.0]))


@pytest.mark.slow
def test_repetition_comes_back_from_exact_losses():
    """R_D is 15.4."""
    fit = sf.fit(repeated(np.geomspace(1, 64, 7)), sf.Model("data-constrained"), engine=sf.MAP())
    assert fit.theta["R_D"][0] == pytest.approx(15.4, rel=0.1)


def test_repeats_under_a_law_of_fresh_data_are_said():
    found = checks(repeated([1, 2, 4, 8, 16]))["repetition"]
    assert (found.verdict, found.value) == ("review", pytest.approx(16))
    assert "data-constrained" in found.sentence
    assert checks(repeated([0.1, 0.2, 0.5, 0.7, 1.0]))["repetition"].verdict == "ok"
    assert "repetition" not in checks(repeated([1, 2, 4, 8, 16]), "data-constrained")
    assert "repetition" not in checks(sf.datasets.load("chinchilla"))


def test_a_table_with_epochs_and_no_unique_tokens_says_so():
    columns = {"params": X, "tokens": 20 * X, "loss": 2 + X**-0.1}
    assert any("unique_tokens" in note for note in sf.read_runs({**columns, "epochs": np.full(len(X), 4.0)}).notes)
    for harmless in ({"epochs": np.ones(len(X))}, {"epochs": np.full(len(X), 4.0), "num_unique_tokens": 5 * X}):
        assert not any("fresh data" in note for note in sf.read_runs({**columns, **harmless}).notes)


def test_overfitting_is_named_with_its_rows():
    """The losses of 421M parameters on 100M tokens in Muennighoff et al.'s table: up from 39 epochs on."""
    epochs = np.array([15, 27, 39, 59, 75, 320])
    loss = np.array([3.7979, 3.7474, 3.8986, 4.1699, 4.3762, 5.7836])
    good = repeated(epochs, sizes=(1e8, 2e8))
    columns = {name: np.append(values, np.full(6, values[0])) for name, values in good.columns.items()}
    columns |= {"params": np.append(good.params, np.full(6, 4.21e8)), "tokens": np.append(good.tokens, 1e8 * epochs)}
    runs = sf.Runs({**columns, "loss": np.append(good.loss, loss)})
    found = checks(runs)["overfitting"]
    assert found.verdict == "review"
    assert found.value == pytest.approx(np.log(5.7836 / 3.7474))
    assert "rows 15, 16, 17 and 18" in found.sentence
    assert "overfitting" in found.sentence
    assert checks(good)["overfitting"].verdict == "ok"
    one_bad_run = sf.Runs({**good.columns, "loss": good.loss * np.where(np.arange(len(good)) == 4, 1.1, 1.0)})
    assert checks(one_bad_run)["overfitting"].verdict == "ok"
    assert checks(sf.datasets.load("chinchilla", "keep"))["overfitting"].verdict == "ok"


def test_overfitting_of_many_runs_is_no_matter_of_their_extremes():
    """Of 4,000 runs with heavy tails the least and the last are outliers; a loss that does turn up is seen."""
    rng = np.random.default_rng(0)
    x = {"params": np.repeat([1e8, 1e9], 2000), "tokens": np.tile(np.geomspace(1e9, 1e11, 2000), 2)}
    loss = 1.8 + 480 / x["params"] ** 0.35 + 2000 / x["tokens"] ** 0.37
    noise = 0.006 * rng.standard_t(3, 4000)
    assert checks(sf.Runs({**x, "loss": loss * np.exp(noise)}))["overfitting"].verdict == "ok"
    turned = np.maximum(np.log(x["tokens"] / 3e10), 0) * 0.1
    assert checks(sf.Runs({**x, "loss": loss * np.exp(noise + turned)}))["overfitting"].verdict == "review"
