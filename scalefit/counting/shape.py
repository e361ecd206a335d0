"""The shape of a decoder, and its parameters by component: exact Python integers."""

from dataclasses import dataclass

from scalefit.counting.convention import CONVENTIONS, check_convention
from scalefit.errors import DataError

COUNTS = ("layers", "width", "heads", "vocabulary", "mlp", "kv_heads", "head_size", "context", "experts")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A decoder-only transformer; `gpt`, `llama` and `gopher` fill in what their families share.

    layers, width (d), heads, vocabulary : as papers name them. mlp : inner width f of the MLP, of one expert where
        there are several. context : tokens of a training sequence, which attention FLOP depend on.
    kv_heads : heads of keys and values, `heads` unless fewer are shared (grouped-query attention).
    head_size : width of one head, d / heads by default.
    gated : an MLP of three matrices instead of two. biases : in attention and MLP. norm_bias : a norm shifts as well
        as scales (LayerNorm against RMSNorm). tied : the output reads the embedding. learned_positions : one vector
        a place in the context. relative_positions : Transformer-XL's projection and its two bias vectors a layer.
    experts, active_experts : MLPs a layer, and how many a token visits; a router of d weights an expert.

    Raises `DataError` where a number is not a positive integer or the heads do not divide.
    """

    layers: int
    width: int
    heads: int
    vocabulary: int
    mlp: int
    context: int
    kv_heads: int = 0
    head_size: int = 0
    gated: bool = False
    biases: bool = False
    norm_bias: bool = False
    tied: bool = False
    learned_positions: bool = False
    relative_positions: bool = False
    experts: int = 1
    active_experts: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.heads, int) and self.heads > 0:
            if not self.head_size and self.width % self.heads:
                raise DataError(
                    f"{self.heads} heads do not divide a width of {self.width}; take heads that do, or give head_size "
                    "in Python."
                )
            object.__setattr__(self, "head_size", self.head_size or self.width // self.heads)
            object.__setattr__(self, "kv_heads", self.kv_heads or self.heads)
        for name in (*COUNTS, "active_experts"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise DataError(f"{name} of a shape is a positive whole number; got {getattr(self, name)!r}.")
        if self.heads % self.kv_heads:
            raise DataError(f"{self.kv_heads} key-value heads do not divide {self.heads} heads; give a divisor.")
        if self.active_experts > self.experts:
            raise DataError(f"a token cannot visit {self.active_experts} of {self.experts} experts; give fewer.")

    @property
    def attention_width(self) -> int:
        """Heads times head size: d, but for shapes that say otherwise."""
        return self.heads * self.head_size

    @property
    def attention_weights(self) -> int:
        """Weights of one layer's query, key, value and output projections."""
        return 2 * self.width * (self.heads + self.kv_heads) * self.head_size

    @property
    def mlp_weights(self) -> int:
        """Weights of one layer's MLP, of one expert where there are several."""
        return (3 if self.gated else 2) * self.width * self.mlp

    @property
    def router_weights(self) -> int:
        """Weights of one layer's router; none where there is one MLP."""
        return self.width * self.experts if self.experts > 1 else 0

    @property
    def components(self) -> dict[str, int]:
        """Parameters by component, name -> count; they add up to `total`."""
        embedding = self.vocabulary * self.width
        return {
            "embedding": embedding,
            "positions": self.learned_positions * self.context * self.width,
            "attention": self.layers * (self.attention_weights + self._attention_extras),
            "mlp": self.layers * self.experts * self._expert,
            "router": self.layers * self.router_weights,
            "norms": (2 * self.layers + 1) * self.width * (2 if self.norm_bias else 1),
            "unembedding": 0 if self.tied else embedding,
        }

    @property
    def total(self) -> int:
        """Every parameter."""
        return sum(self.components.values())

    @property
    def non_embedding(self) -> int:
        """Without embedding, learned positions and an output matrix of its own (Kaplan et al. 2020, section 1.3)."""
        counted = self.components
        return self.total - counted["embedding"] - counted["positions"] - counted["unembedding"]

    @property
    def active(self) -> int:
        """What one token meets: `total` without the experts it is not sent to."""
        return self.total - self._idle

    @property
    def active_non_embedding(self) -> int:
        """What one token meets, without embeddings."""
        return self.non_embedding - self._idle

    def count(self, convention: str) -> int:
        """N by one of `CONVENTIONS`. Raises `DataError` on another."""
        return {name: getattr(self, name) for name in CONVENTIONS}[check_convention(convention)]

    @property
    def _expert(self) -> int:
        return self.mlp_weights + self.biases * ((2 if self.gated else 1) * self.mlp + self.width)

    @property
    def _attention_extras(self) -> int:
        inner, shared = self.attention_width, self.kv_heads * self.head_size
        biases = inner + 2 * shared + self.width
        return self.biases * biases + self.relative_positions * (self.width + 2) * inner

    @property
    def _idle(self) -> int:
        return self.layers * (self.experts - self.active_experts) * self._expert


def gpt(layers: int, width: int, heads: int, *, vocabulary: int = 50257, context: int = 1024) -> Shape:
    """GPT-2 and GPT-3: biases, LayerNorm, learned positions, tied embeddings, an MLP of 4d.

    V d + n_ctx d + L (12 d^2 + 13 d) + 2 d parameters. Source: Radford et al. 2019, section 2.3, and its code.
    """
    return Shape(
        layers=layers, width=width, heads=heads, mlp=4 * width, vocabulary=vocabulary, context=context,
        biases=True, norm_bias=True, tied=True, learned_positions=True,
    )  # fmt: skip


def llama(
    layers: int, width: int, heads: int, mlp: int, *, vocabulary: int, context: int, kv_heads: int = 0,
    tied: bool = False, experts: int = 1, active_experts: int = 1,
) -> Shape:  # fmt: skip
    """Llama, and Mixtral with experts: no biases, RMSNorm, rotary positions, a gated MLP.

    (2 if untied) V d + L (2 d^2 + 2 d n_kv d_h + 3 d f + 2 d) + d parameters. Source: Touvron et al. 2023
    (arXiv 2302.13971), section 2.2; Jiang et al. 2024 (arXiv 2401.04088), section 2.1, for experts.
    """
    return Shape(
        layers=layers, width=width, heads=heads, mlp=mlp, vocabulary=vocabulary, context=context,
        kv_heads=kv_heads, gated=True, tied=tied, experts=experts, active_experts=active_experts,
    )  # fmt: skip


def gopher(layers: int, width: int, heads: int, *, vocabulary: int = 32000, context: int = 2048) -> Shape:
    """Gopher and Chinchilla as Hoffmann et al. 2022 (arXiv 2203.15556, Appendix F) count: relative positions, biases.

    L (3 d^2 + 3 d + d^2 + 2 d + d^2 + d + 2 d f + f + d + 4 d) + 2 d + V d parameters, f = 4 d.
    """
    return Shape(
        layers=layers, width=width, heads=heads, mlp=4 * width, vocabulary=vocabulary, context=context,
        biases=True, norm_bias=True, tied=True, relative_positions=True,
    )  # fmt: skip
