"""The names that columns are recognised by: those of papers, course assignments and the loggers of training code."""

import re

from scalefit.counting import CONVENTIONS
from scalefit.io.names import read_name

COMMON_NAMES: dict[str, tuple[str, ...]] = {
    "params": ("params", "n", "n_params", "num_params", "parameters", "model_size"),
    "tokens": ("tokens", "d", "n_tokens", "num_tokens", "training_tokens", "train_tokens"),
    "flops": ("flops", "c", "flop", "compute", "training_flop", "training_flops", "total_flops"),
    "loss": ("loss", "val_loss", "final_loss", "validation_loss", "eval_loss", "test_loss"),
    "unique_tokens": ("unique_tokens",),
}
"""Canonical column -> the names that come first (in lower case, spaces and dashes as underscores). Two of them in one
table are an error."""
OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "params": (
        "num_parameters", "n_parameters", "nparams", "parameter_count", "param_count", "params_count", "model_params",
        "model_parameters", "num_model_params", "number_of_parameters", "number_of_params", "total_parameter_count",
        "trainable_params", "trainable_parameters", "num_trainable_params", "num_trainable_parameters",
        "num_scaling_params", "scaling_params", "param", "model_param_count", "size_params",
    ),
    "tokens": (
        "total_tokens", "tokens_trained", "trained_tokens", "tokens_seen", "num_tokens_seen", "total_tokens_seen",
        "total_training_tokens", "total_train_tokens", "num_train_tokens", "num_training_tokens", "n_train_tokens",
        "n_training_tokens", "num_input_tokens_seen", "input_tokens_seen", "tokens_processed", "processed_tokens",
        "consumed_tokens", "tokens_consumed", "consumed_train_tokens", "token_count", "tokens_total", "dataset_tokens",
        "train_tokens_seen", "global_tokens", "data_tokens", "number_of_tokens", "token_num", "seen_tokens",
    ),
    "flops": (
        "compute_budget", "flops_budget", "flop_budget", "budget_flops", "train_flops", "train_flop", "total_flop",
        "total_flos", "flos", "total_training_flops", "total_train_flops", "training_compute", "total_compute",
        "train_compute", "compute_flops", "compute_flop", "measured_flops", "actual_flops", "isoflop_budget",
        "isoflops", "flops_total", "model_flops", "floating_point_operations", "target_flops", "c_flops", "c_flop",
    ),
    "unique_tokens": (
        "n_unique_tokens", "num_unique_tokens", "unique_train_tokens", "unique_training_tokens", "tokens_unique",
        "unique_token_count", "unique_data_tokens", "num_unique_train_tokens",
    ),
    "loss": (
        "valid_loss", "dev_loss", "heldout_loss", "held_out_loss", "final_val_loss", "final_eval_loss", "l",
        "final_validation_loss", "best_val_loss", "min_val_loss", "val_bpb", "bpb", "eval_bpb", "validation_bpb",
        "final_val_bpb", "val_ce", "val_ce_loss", "ce_loss", "eval_ce_loss", "cross_entropy", "cross_entropy_loss",
        "val_cross_entropy", "eval_cross_entropy_loss", "val_cross_entropy_loss", "xent", "nll", "val_nll", "test_nll",
        "nll_loss", "lm_loss_validation", "validation_lm_loss", "lm_loss_validation_lm_loss", "val_lm_loss", "loss_val",
        "loss_validation", "loss_eval", "reduced_val_loss", "val_loss_final", "log_loss", "c4_loss", "pile_loss",
        "bits_per_byte", "val_bits_per_byte", "bits_per_token", "bits_per_base", "lm_loss_eval", "macro_loss",
    ),
}  # fmt: skip
"""Canonical column -> names that are used where none of `COMMON_NAMES` is there."""
LAST_NAMES: dict[str, tuple[str, ...]] = {
    "loss": (
        "train_loss", "training_loss", "lm_loss", "final_train_loss", "reduced_train_loss", "train_cross_entropy_loss",
        "train_ce_loss", "avg_loss", "train_lm_loss", "smooth_train_loss", "loss_train",
    ),
}  # fmt: skip
"""Canonical column -> names that are used where none of the others is there."""
ROLES: dict[str, tuple[str, ...]] = {
    "step": ("step", "global_step", "iteration", "iter", "iter_num", "current_step", "train_step"),
    "steps": (
        "steps", "n_steps", "num_steps", "max_steps", "train_steps", "training_steps", "num_train_steps",
        "total_steps", "num_iterations", "n_iterations", "iterations", "iteration", "iters", "max_iters", "train_iters",
        "n_iters", "iter", "iter_num", "global_step", "optimizer_steps", "num_updates", "step",
    ),
    "batch": (
        "batch_size", "global_batch_size", "train_batch_size", "total_train_batch_size", "effective_batch_size",
        "total_batch_size", "batch", "bsz", "gbs", "batch_size_sequences", "n_batch",
    ),
    "sequence": (
        "seq_len", "sequence_length", "seq_length", "seqlen", "max_seq_len", "max_seq_length", "max_sequence_length",
        "train_seq_len", "context_length", "context_len", "block_size", "n_ctx", "ctx_len", "sequence_len", "context",
        "max_position_embeddings",
    ),
    "batch_tokens": (
        "tokens_per_batch", "tokens_per_step", "tokens_per_iter", "tokens_per_iteration", "batch_size_tokens",
        "batch_size_in_tokens", "batch_tokens", "global_batch_size_tokens", "total_batch_size_tokens", "tokens_ite",
        "tokens_iter",
    ),
    "samples": ("consumed_train_samples", "consumed_samples", "samples_seen", "train_samples", "num_samples_seen"),
    "layers": ("n_layer", "n_layers", "num_layers", "num_hidden_layers", "layers", "depth", "nlayers"),
    "width": (
        "d_model", "n_embd", "hidden_size", "hidden_dim", "model_dim", "width", "embed_dim", "embedding_dim", "n_embed",
        "dim_model", "dmodel",
    ),
    "architecture": ("architecture", "arch", "model", "model_name", "name_or_path", "model_name_or_path"),
    "run": (
        "run_id", "run_name", "run", "run_uuid", "experiment", "experiment_name", "exp_name", "exp", "name", "model",
        "model_name", "id",
    ),
    "size": ("size", "model_size", "scale", "model", "model_name", "name", "run", "config"),
    "epochs": ("epochs", "n_epochs", "num_epochs", "num_train_epochs", "train_epochs"),
    "diverged": ("diverged", "is_diverged", "has_diverged", "loss_diverged"),
    "state": ("state", "status", "run_state", "run_status", "job_status"),
    "finished": ("finished", "completed", "is_finished", "done"),
}  # fmt: skip
"""What else is looked for -> its names, the first that is there."""
_SYNONYMS = {
    "non_embedding": (
        "non_embedding",
        "non_emb",
        "nonembedding",
        "nonemb",
        "non_embed",
        "no_embedding",
        "no_emb",
        "without_embedding",
        "without_embeddings",
        "excl_embedding",
        "excl_embeddings",
        "non_embeddings",
    ),
    "active": ("active", "activated"),
    "total": ("total",),
}
_PATTERNS = (
    "params_{}", "{}_params", "n_{}", "n_params_{}", "{}_parameters", "parameters_{}", "n_{}_params", "num_{}_params",
    "num_{}_parameters", "{}_param_count", "{}_parameter_count", "params_{}_only", "num_params_{}",
)  # fmt: skip
CONVENTION_NAMES: dict[str, tuple[str, ...]] = {
    convention: tuple(p.format(word) for word in _SYNONYMS.get(convention, (convention,)) for p in _PATTERNS)
    for convention in CONVENTIONS
}
"""Convention of counting N -> the names of columns of parameters that state it."""

HELD_OUT = frozenset({"eval", "val", "valid", "validation", "test", "dev", "heldout", "evaluation", "metrics"})
_PREFIXES = frozenset({
    "config", "summary", "model", "train", "trainer", "training", "params", "param", "metrics", "hparams", "args",
    "cfg", "data", "optim", "run", "log", "logs", "final", "throughput", "stats", "optimizer", "meta", "global", "perf",
    "dataset", "hyperparameters", "value", "_wandb", "loop", "state", "info", "result", "results", "model_config",
    "train_config", "training_args", "trainer_args", "hyperparams", "system", "progress", "counters", "learning",
})  # fmt: skip
_TRAIN = frozenset({"train", "training"})
_TIERS: dict[str, tuple[str, int]] = {
    name: (canonical, tier)
    for tier, table in ((2, LAST_NAMES), (1, OTHER_NAMES), (0, COMMON_NAMES))
    for canonical, names in table.items()
    for name in names
}
_CONVENTIONS = {name: convention for convention, names in CONVENTION_NAMES.items() for name in names}
_LIKE = {
    "params": re.compile(r"(^|_)(params?|parameters?|nparams|model_size)(_|$)"),
    "tokens": re.compile(r"(^|_)tokens?(_|$)"),
    "flops": re.compile(r"(^|_)(flops?|flos|compute)(_|$)"),
    "loss": re.compile(r"(^|_)(loss|bpb|nll|ppl|perplexity|xent|cross_entropy|log_?likelihood|logprob)(_|$)"),
}
_UNLIKE = re.compile(
    r"(^|_)(ratio|rate|scale|weight|coef|coeff|lambda|std|sd|se|stderr|name|id|path|dir|type|dtype|vocab|tokenizer|"
    r"unique|file|max|min|log|eval_tokens|token|unit|norm|every|interval|mfu)(_|$)"
)


def recognise(column: str) -> tuple[str, int] | None:
    """The canonical column that a name stands for, and how far down the list of names it comes (0 first).

    A tracker's path counts from its end: `config.model.n_params` is `n_params`, `eval/c4/loss` is a loss on held-out
    data, and `aux/loss` is nothing.
    """
    name = read_name(column)
    if name.rate:
        return None
    for start in range(len(name.pieces)):
        found = _TIERS.get("_".join(name.pieces[start:]))
        if found is None:
            continue
        canonical, tier = found
        dropped = {word for piece in name.pieces[:start] for word in (piece, *piece.split("_"))}
        if canonical == "loss" and dropped & _TRAIN and not dropped & HELD_OUT:
            return canonical, 2
        if canonical == "loss" and dropped & HELD_OUT:
            return canonical, max(tier, 1)
        if all(piece in _PREFIXES for piece in name.pieces[:start]):
            return canonical, tier
        return None
    return None


def stated_convention(column: str) -> str | None:
    """What a column of parameters counts, where its name states it."""
    name = read_name(column)
    for start in range(len(name.pieces)):
        if all(piece in _PREFIXES for piece in name.pieces[:start]):
            found = _CONVENTIONS.get("_".join(name.pieces[start:]))
            if found:
                return found
    return None


def looks_like(column: str) -> str | None:
    """The quantity that a column seems to be by its name, None where it seems to be none."""
    name = read_name(column)
    if name.rate or _UNLIKE.search(name.leaf):
        return None
    return next((quantity for quantity, pattern in _LIKE.items() if pattern.search(name.leaf)), None)


def with_role(columns: list[str], role: str) -> str | None:
    """The first column that has a role: "step", "run", "batch"; None where none has."""
    ranked = {name: rank for rank, name in enumerate(ROLES[role])}
    best: tuple[int, str] | None = None
    for column in columns:
        name = read_name(column)
        if name.rate and role != "batch_tokens":
            continue
        for start in range(len(name.pieces)):
            rank = ranked.get("_".join(name.pieces[start:]))
            if rank is not None and all(piece in _PREFIXES for piece in name.pieces[:start]):
                best = min(best, (rank, column)) if best else (rank, column)
                break
    return best[1] if best else None
