"""What options choose from. Written out, so that help and completion import nothing; a test compares the registries."""

from enum import StrEnum


class Noise(StrEnum):
    """Distributions of ln loss around the law."""

    STUDENT_T = "student-t"
    NORMAL = "normal"


class Engine(StrEnum):
    """Ways to fit."""

    AUTO = "auto"
    AIS = "ais"
    NUTS = "nuts"
    MAP = "map"
    HUBER = "huber"
    LEAST_SQUARES = "least-squares"
    VPNLS = "vpnls"
    BOOTSTRAP = "bootstrap"


class Outliers(StrEnum):
    """What becomes of the runs that the published fits of a shipped table leave out; or which runs are far off."""

    DROP = "drop"
    KEEP = "keep"
    SHOW = "show"


class Format(StrEnum):
    """Formats of tables."""

    CSV = "csv"
    TSV = "tsv"
    JSON = "json"
    JSONL = "jsonl"
    PARQUET = "parquet"
    XLSX = "xlsx"
    WANDB = "wandb"
    WANDB_CHART = "wandb-chart"
    TRAINER_STATE = "trainer-state"
    MLFLOW = "mlflow"
    MLRUNS = "mlruns"
    TRACKIO = "trackio"


class History(StrEnum):
    """What becomes of a log with a row for each step."""

    LAST = "last"
    MINIMUM = "minimum"
    ALL = "all"


class Link(StrEnum):
    """Curves from a task loss to accuracy."""

    SIGMOID = "sigmoid"
    EXPONENTIAL_ERROR = "exponential-error"


class Family(StrEnum):
    """Published families of shapes."""

    GPT = "gpt"
    LLAMA_1 = "llama-1"
    LLAMA_2 = "llama-2"
    LLAMA_3 = "llama-3"
    MIXTRAL = "mixtral"
    CHINCHILLA = "chinchilla"


class FlopRule(StrEnum):
    """Rules that count FLOP over a shape."""

    SIX_ND = "6nd"
    KAPLAN = "kaplan"
    PALM = "palm"
    PALM_CAUSAL = "palm-causal"
    MEGATRON = "megatron"
    MEGATRON_RECOMPUTE = "megatron-recompute"
    HOFFMANN = "hoffmann"


class Style(StrEnum):
    """Kinds of transformers."""

    LLAMA = "llama"
    GPT = "gpt"
    GOPHER = "gopher"


class Floor(StrEnum):
    """How the floors of recipes differ."""

    SHARED = "shared"
    POOLED = "pooled"


class Exponents(StrEnum):
    """Whether the exponents of recipes differ."""

    SHARED = "shared"
    POOLED = "pooled"


LAWS = (
    "broken", "chinchilla", "chinchilla-outer", "data-constrained", "farseer", "kaplan", "kaplan-c", "kaplan-d",
    "kaplan-n", "kaplan-steps", "moe", "moe-granular", "over-training", "power-law", "precision",
)  # fmt: skip
"""The laws that completion offers; an option of a law follows in brackets, as in power-law(input=tokens)."""
