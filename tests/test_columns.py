"""Names of columns as trackers, papers and courses write them; units in names; what follows from other columns."""

import re

import numpy as np
import pandas as pd
import pytest

import scalefit as sf
from scalefit.io.aliases import looks_like, recognise, stated_convention
from scalefit.io.names import read_name

N, D, LOSS = np.array([2e7, 6e7, 1.9e8]), np.array([4e8, 1.2e9, 3.8e9]), np.array([4.0, 3.6, 3.2])
C = 6 * N * D


def said(runs, *words):
    return any(all(word in note for word in words) for note in runs.notes)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("nanochat", ("num_params", "tokens_trained", "flops_budget", "val_bpb")),
        ("nanochat, scaling", ("num_scaling_params", "tokens_trained", "train_flops", "val_bpb")),
        ("OLMo", ("non_emb_params", "throughput/total_tokens", "total_training_flops", "eval/c4/CrossEntropyLoss")),
        ("Levanter", ("summary.parameter_count", "summary.throughput/total_tokens", None, "summary.eval/loss")),
        ("Hugging Face", ("model/num_parameters", "train/num_input_tokens_seen", "total_flos", "eval/loss")),
        ("Megatron", ("num_params", "consumed-tokens", None, "lm loss validation")),
        ("Lightning", ("trainable_params", "total_tokens", None, "val_loss")),
        ("CS336", ("parameters", None, "compute_budget", "final_loss")),
        ("W&B export", ("config.model.n_params", "config.train.total_tokens", None, "summary.eval/loss")),
        ("MLflow export", ("params.num_params", "metrics.tokens_seen", None, "metrics.val/loss")),
        ("camel case", ("numParams", "trainTokens", None, "valLoss")),
        ("spaces", ("Model Size", "Training Tokens", "Training Compute", "Validation Loss")),
        ("a paper's letters", ("N", "D", "C", "L")),
    ],
)  # fmt: skip
def test_names_of_trackers_and_courses(source, names):
    given = {name: values for name, values in zip(names, (N, D, C, LOSS), strict=True) if name}
    runs = sf.read_runs(given)
    np.testing.assert_allclose(runs.params, N)
    np.testing.assert_allclose(runs.tokens, D)
    np.testing.assert_allclose(runs.flops, C)
    np.testing.assert_allclose(runs.loss, LOSS)
    if names[2]:
        assert not said(runs, "flops were computed")


@pytest.mark.parametrize(
    ("name", "factor"),
    [("Params (M)", 1e6), ("params_m", 1e6), ("num_params [millions]", 1e6), ("Parameters (in B)", 1e9)]
    + [("N (1e6)", 1e6), ("Tokens (B)", 1e9), ("tokens_1e9", 1e9), ("training_tokens(T)", 1e12)]
    + [("tokens in billions", 1e9), ("total petaflops", 1e15), ("flops_1e18", 1e18), ("eflops", 1e18)]
    + [("total_gflops", 1e9), ("exaFLOPs", 1e18), ("FLOPs (E)", 1e18)]
    + [("Model size (M params)", 1e6), ("millions of parameters", 1e6), ("billion tokens", 1e9)]
    + [("Compute (PF-days)", 8.64e19), ("compute_pf_days", 8.64e19), ("training compute (ZFLOP)", 1e21)]
    + [("FLOPs (×10^18)", 1e18), ("throughput/total_training_Gflops", 1e9)],
)  # fmt: skip
def test_a_unit_in_a_name_is_applied_and_said(name, factor):
    quantity = recognise(name)[0]
    columns = {"params": N, "tokens": D, "flops": C, "loss": LOSS}
    runs = sf.read_runs({name if key == quantity else key: values for key, values in columns.items() if key != quantity}
                        | {name: columns[quantity] / factor})  # fmt: skip
    np.testing.assert_allclose(runs[quantity], columns[quantity])
    assert said(runs, repr(name), f"{factor:g}")


def test_remarks_in_brackets_count():
    assert stated_convention("Params (non-embedding)") == "non_embedding"
    assert stated_convention("Params (M, non-embedding)") == "non_embedding"
    assert read_name("Params (M, non-embedding)").factor == 1e6
    columns = {"N": N, "D": D, "Loss (train)": LOSS - 1, "Loss (val)": LOSS}
    assert sf.read_runs(columns).loss.tolist() == LOSS.tolist()
    assert recognise("n_t") is None


def test_a_unit_of_a_cell_is_its_own():
    runs = sf.read_runs({"Params (M)": ["0.41M", "3.2", "0.1B"], "tokens": D, "loss": LOSS})
    np.testing.assert_allclose(runs.params, [4.1e5, 3.2e6, 1e8])


@pytest.mark.parametrize(
    "name",
    ["tokens_per_second", "tokens/s", "throughput/tokens_per_second", "flops_per_token", "tflops/s", "aux/loss"]
    + ["z_loss", "param_data_ratio", "loss_scale", "throughput/total_training_log_Gflops", "max_tokens"]
    + ["Time / iter (ms)"],
)  # fmt: skip
def test_what_is_no_count_is_not_taken_for_one(name):
    assert recognise(name) is None


def test_names_are_read_in_parts():
    assert read_name("eval/c4_en-validation/CrossEntropyLoss").pieces == (
        "eval",
        "c4_en_validation",
        "cross_entropy_loss",
    )
    assert stated_convention("config.model.non_emb_params") == "non_embedding"
    assert looks_like("my_loss") == "loss"
    assert looks_like("loss_std") is None


def test_held_out_losses_come_before_training_losses():
    both = {"N": N, "D": D, "train/loss": LOSS - 1, "eval/loss": LOSS}
    assert sf.read_runs(both).loss.tolist() == LOSS.tolist()
    assert said(sf.read_runs(both), "not used", "'train/loss'")
    assert sf.read_runs({name: both[name] for name in ("N", "D", "train/loss")}).loss[0] == LOSS[0] - 1


def test_a_column_that_looks_like_a_quantity_is_named_once():
    runs = sf.read_runs({"N": N, "D": D, "loss": LOSS, "my_tokens": D, "aux_loss": LOSS, "note": ["a", "b", "c"]})
    (note,) = (note for note in runs.notes if "not used" in note)
    assert "'my_tokens' (tokens)" in note
    assert "'aux_loss' (loss)" in note


def test_compute_under_any_name_is_used():
    runs = sf.read_runs({"N": N, "D": D, "loss": LOSS, "gpu_flops_used": 1.3 * C})
    np.testing.assert_allclose(runs.flops, 1.3 * C)
    assert said(runs, "flops: column 'gpu_flops_used'")
    two = sf.read_runs({"N": N, "D": D, "loss": LOSS, "gpu_flops_used": 1.3 * C, "our_flops_counted": C})
    assert said(two, "not used", "'gpu_flops_used'", "'our_flops_counted'")


def test_a_perplexity_is_no_loss_and_is_named():
    with pytest.raises(sf.DataError, match="'val_ppl' is a perplexity.*logarithm"):
        sf.read_runs({"N": N, "D": D, "val_ppl": np.exp(LOSS)})


def test_a_column_of_rates_is_no_compute_and_says_so():
    runs = sf.read_runs({"N": N, "D": D, "loss": LOSS, "tflops": [180.0, 175.0, 190.0]})
    np.testing.assert_allclose(runs.flops, C)
    assert said(runs, "'tflops'", "not used")


@pytest.mark.parametrize(
    "columns",
    [
        {"steps": [100, 200, 300], "batch_size": [256] * 3, "seq_len": [1024] * 3},
        {"max_iters": [100, 200, 300], "config.train.global_batch_size": [256] * 3, "block_size": [1024] * 3},
        {"num_iterations": [100, 200, 300], "tokens_per_step": [2**18] * 3},
        {"num_iterations": [100, 200, 300], "total_batch_size": [2**18] * 3, "sequence_len": [1024] * 3},
        {"consumed_train_samples": [25600, 51200, 76800], "seq_length": [1024] * 3},
    ],
)
def test_tokens_from_steps_batch_and_sequence(columns):
    runs = sf.read_runs({"n_params": N, "val_loss": LOSS, **columns})
    np.testing.assert_allclose(runs.tokens, 2**18 * np.array([100, 200, 300]))
    assert said(runs, "tokens were computed")


def test_params_from_a_shape_an_architecture_or_a_size():
    shape = sf.read_runs({"n_layer": [12, 24, 24], "n_embd": [768, 1024, 2048], "tokens": D * 10, "loss": LOSS})
    np.testing.assert_allclose(shape.params, [12 * 12 * 768**2, 12 * 24 * 1024**2, 12 * 24 * 2048**2])
    assert shape.convention == "non_embedding"
    assert said(shape, "params were computed", "12")
    named = sf.read_runs({"model": ["gpt2", "openai/gpt2-medium", "GPT2 XL"], "tokens": D * 10, "loss": LOSS})
    assert named.params[0] == sf.counting.architecture("gpt2").total
    sizes = sf.read_runs({"model": ["70M", "160M", "1B"], "tokens": D * 10, "loss": LOSS})
    assert sizes.params.tolist() == [70e6, 160e6, 1e9]
    unknown = sf.read_runs({"model": ["gpt2", "ours", "gpt2-xl"], "tokens": D * 10, "loss": LOSS})
    assert "params" not in unknown.columns


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ({"size": N / 1e6, "tokens": D, "loss": LOSS}, "'size'"),
        ({"params": np.geomspace(70, 12000, 3), "tokens": D * 10, "loss": LOSS}, "params"),
        ({"params": N, "tokens": D / 1e9, "loss": LOSS}, "tokens"),
        ({"params": N, "tokens": D * 1e9, "loss": LOSS}, "tokens"),
        ({"params": N, "Compute": C / 1e18, "loss": LOSS}, "tokens"),
        ({"params": N, "tokens": D, "flops": C / 1e18, "loss": LOSS}, "flops"),
    ],
)
def test_counts_in_another_unit_are_refused_by_name(columns, name):
    mapping = {"params": "size"} if "size" in columns else {}
    with pytest.raises(sf.DataError, match=name) as refusal:
        sf.read_runs(columns, **mapping)
    assert re.search("unit|millions", str(refusal.value))


def test_log_likelihoods_are_turned_round_where_the_name_says_so():
    runs = sf.read_runs({"params": N, "tokens": D, "lm_ll": -LOSS}, loss="lm_ll")
    np.testing.assert_array_equal(runs.loss, LOSS)
    assert any("log-likelihood" in note for note in runs.notes)
    with pytest.raises(sf.DataError, match="'quality'.*negative.*log-likelihood"):
        sf.read_runs({"params": N, "tokens": D, "quality": -LOSS}, loss="quality")
    with pytest.raises(sf.DataError, match="not positive"):
        sf.read_runs({"params": N, "tokens": D, "lm_ll": -LOSS * [1, 1, *[-1] * (len(N) - 2)]}, loss="lm_ll")


def test_active_parameters_are_kept_beside_all():
    columns = {"total_params": N, "active_params": N / 8, "tokens": D, "loss": LOSS}
    runs = sf.read_runs(columns)
    assert (runs.params.tolist(), runs.convention) == (N.tolist(), "total")
    assert runs["active_params"].tolist() == (N / 8).tolist()
    active = sf.read_runs(columns, convention="active")
    assert (active.params.tolist(), active.convention) == ((N / 8).tolist(), "active")
    beside = sf.read_runs({"params": N, "Active Params (M)": N / 8e6, "tokens": D, "loss": LOSS})
    np.testing.assert_allclose(beside["active_params"], N / 8)


@pytest.mark.parametrize(
    ("extra", "left_out"),
    [
        ({"State": ["finished", "crashed", "finished"]}, "1 not finished"),
        ({"status": ["FINISHED", "RUNNING", "KILLED"]}, "2 not finished"),
        ({"finished": [True, False, True]}, "1 not finished"),
        ({"diverged": [0, 1, 0]}, "1 diverged"),
        ({"loss": [4.0, np.nan, np.inf]}, "1 without a loss, 1 diverged"),
        ({"loss": ["4.0", "", "diverged"]}, "1 without a loss, 1 diverged"),
    ],
)
def test_rows_that_are_no_finished_runs_are_counted(extra, left_out):
    columns = {"N": N, "D": D, "loss": LOSS, **extra}
    runs = sf.read_runs(columns)
    assert said(runs, left_out)
    assert runs.loss[0] == 4.0
    assert len(sf.read_runs(columns, keep_unfinished=True)) == (1 if "loss" in extra else 3)


@pytest.mark.parametrize(
    "extra", [{"state": ["CA", "NY", "TX"]}, {"status": [0, 0, 1]}, {"status": ["good", "", None]}]
)
def test_other_states_are_no_reason(extra):
    assert len(sf.read_runs({"N": N, "D": D, "loss": LOSS, **extra})) == 3


def test_rows_are_named_by_their_place_in_the_file():
    columns = {
        "N": [*N, -1.0],
        "D": [*D, 1e9],
        "loss": [np.nan, *LOSS],
        "State": ["finished", "failed", "finished", "ok"],
    }
    with pytest.raises(sf.DataError, match="1 bad row.*row 4: params"):
        sf.read_runs(columns)


def test_a_table_without_a_finished_run_says_so():
    with pytest.raises(sf.DataError, match="3 not finished.*keep_unfinished"):
        sf.read_runs({"N": N, "D": D, "loss": LOSS, "State": ["running"] * 3})


def test_checkpoints_are_rows_unless_they_are_asked_to_be_runs():
    rows = [(f"run-{r}", s, N[r], D[r] * s / 3, LOSS[r] + 3 - s) for r in range(3) for s in (1, 2, 3)]
    table = pd.DataFrame(rows, columns=["model", "step", "params", "tokens", "loss"])
    assert len(sf.read_runs(table)) == 9
    last = sf.read_runs(table, history="last")
    np.testing.assert_allclose(last.loss, LOSS)
    assert said(last, "9 logged rows", "3 run")
    nameless = table.drop(columns=["tokens"]).astype({"model": object})
    nameless.loc[8, "model"] = None
    assert len(sf.read_runs(nameless)) == 4
    alone = table.drop(columns=["tokens"])
    assert len(sf.read_runs(alone)) == 3
    assert len(sf.read_runs(alone, history="all")) == 9
    totals = pd.DataFrame({"steps": [100, 200, 300], "batch_size": 256, "seq_len": 1024, "val_loss": LOSS})
    assert len(sf.read_runs(totals.assign(n_params=N[0]))) == 3


def test_a_name_that_is_given_is_found_whatever_its_case_and_spaces():
    """Two columns that differ in nothing else are told apart by the exact name alone."""
    table = {"Params(M)": [1.0, 2.0], "Tokens": [1e8, 2e8], "Val Loss (1 epoch)": [3.0, 2.0], "Run-ID": ["a", "b"]}
    runs = sf.read_runs(table, params="params (m)", loss="Val Loss(1 epoch)", cluster="run_id")
    assert runs.params.tolist() == [1e6, 2e6]
    assert runs.loss.tolist() == [3.0, 2.0]
    assert runs.cluster == ("Run-ID",)
    both = table | {"val loss (1 EPOCH)": [2.5, 1.5]}
    assert sf.read_runs(both, loss="val loss (1 EPOCH)").loss.tolist() == [2.5, 1.5]
    with pytest.raises(sf.DataError, match="no column"):
        sf.read_runs(both, loss="Val_Loss (1 epoch)")
