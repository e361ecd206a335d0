"""The shape of a decoder, and its parameters by component: exact Python integers."""

from dataclasses import dataclass

from scalefit.counting.convention import CONVENTIONS, check_convention
from scalefit.errors import OptionError

COUNTS = (
    "layers",
    "width",
    "heads",
    "vocabulary",
    "mlp",
    "context",
    "kv_heads",
    "head_size",
    "experts",
    "active_experts",
)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A decoder-only transformer; `gpt`, `llama` and `gopher` fill in what models of a style share.

    Parameters
    ----------
    layers
        Number of layers L.
    width
        Width d of the residual stream.
    heads
        Query heads of a layer.
    vocabulary
        Entries V of the embedding.
    mlp
        Inner width f of the MLP, of one expert where there are several.
    context
        Tokens of a training sequence, which attention FLOP depend on.
    kv_heads
        Heads of keys and values: as many as query heads, or fewer that are shared (grouped-query attention).
    head_size
        Width of one head; d / heads in most models.
    gated
        Whether the MLP has three matrices instead of two.
    biases
        Whether attention and MLP have biases.
    norm_bias
        Whether a norm shifts as well as scales (LayerNorm against RMSNorm).
    tied
        Whether the output reads the embedding.
    learned_positions
        Whether every place in the context has a learned vector.
    relative_positions
        Whether layers have Transformer-XL's projection and its two bias vectors.
    experts
        MLPs of a layer, with a router of d weights for each where there are several.
    active_experts
        MLPs that a token visits.

    Raises
    ------
    OptionError
        A count is not a positive integer, the key-value heads do not divide the heads, or more experts are active than
        there are.
    """

    layers: int
    width: int
    heads: int
    vocabulary: int
    mlp: int
    context: int
    kv_heads: int
    head_size: int
    gated: bool = False
    biases: bool = False
    norm_bias: bool = False
    tied: bool = False
    learned_positions: bool = False
    relative_positions: bool = False
    experts: int = 1
    active_experts: int = 1

    def __post_init__(self) -> None:
        for name in COUNTS:
            check_count(name, getattr(self, name))
        if self.heads % self.kv_heads:
            raise OptionError(
                f"{self.kv_heads} key-value heads do not divide {self.heads} heads. Give a divisor of {self.heads}."
            )
        if self.active_experts > self.experts:
            raise OptionError(
                f"{self.active_experts} active experts are more than {self.experts} experts. Give fewer of them."
            )

    @property
    def attention_width(self) -> int:
        """Heads times head size, which is d in most models."""
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
        """Weights of one layer's router; 0 where the layer has one MLP."""
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
        """Parameters without embedding, learned positions and an output matrix of its own.

        References
        ----------
        Kaplan et al. 2020 (arXiv 2001.08361), section 1.3.
        """
        counted = self.components
        return self.total - counted["embedding"] - counted["positions"] - counted["unembedding"]

    @property
    def active(self) -> int:
        """Parameters that one token meets: `total` without the experts it is not sent to."""
        return self.total - self._idle

    @property
    def active_non_embedding(self) -> int:
        """Parameters that one token meets, without embeddings."""
        return self.non_embedding - self._idle

    def count(self, convention: str) -> int:
        """The number of parameters N.

        Parameters
        ----------
        convention
            One of `CONVENTIONS`.

        Returns
        -------
        int
            N by that convention.

        Raises
        ------
        OptionError
            The convention is unknown.
        """
        return {name: getattr(self, name) for name in CONVENTIONS}[check_convention(convention)]

    @property
    def _expert(self) -> int:
        return self.mlp_weights + self.biases * ((2 if self.gated else 1) * self.mlp + self.width)

    @property
    def _attention_extras(self) -> int:
        """Biases and relative positions of one layer's attention."""
        inner = self.attention_width
        biases = inner + 2 * self.kv_heads * self.head_size + self.width
        return self.biases * biases + self.relative_positions * (self.width + 2) * inner

    @property
    def _idle(self) -> int:
        """Weights of the experts that a token is not sent to."""
        return self.layers * (self.experts - self.active_experts) * self._expert


def check_count(name: str, value: object) -> None:
    """Check a number of things in a shape.

    Parameters
    ----------
    name
        What is counted.
    value
        The number.

    Raises
    ------
    OptionError
        It is not a positive integer.
    """
    if not isinstance(value, int) or value < 1:
        raise OptionError(f"{name} of a shape is {value!r}. Give a positive whole number.")
