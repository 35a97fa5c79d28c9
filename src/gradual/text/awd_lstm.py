"""AWD-LSTM: a plain LSTM language model that five kinds of dropout make strong.

Source: Merity, Keskar and Socher 2017, "Regularizing and Optimizing LSTM Language Models", arXiv
1708.02182 (section numbers below are theirs); sizes and rates as in ULMFiT (Howard and Ruder 2018,
arXiv 1801.06146).

Where the five dropouts sit, from the word to the prediction::

    word ids  (T, B)
       │  embedding            1 embedding dropout: whole words vanish for the pass        (4.3)
       ▼
    (T, B, E)                  2 input dropout, one mask for all time steps                (4.2)
       │  LSTM layer 1 … n     3 weight dropout on the hidden-to-hidden matrix             (2)
       │    between layers     4 hidden dropout, one mask for all time steps               (4.2)
       ▼
    (T, B, E)  "raw output"    the last layer goes back to the embedding's size …
       │                       5 output dropout, one mask for all time steps               (4.2)
       ▼
    (T, B, V)  logits          … so that the decoder can use the embedding's own matrix    (4.5)

Where `projection` is set, every layer keeps the hidden size, and a linear layer takes the raw
output (T, B, H) back to E in front of the decoder: one layer may then be wider than a word's
vector.

T is time, B the batch, E the embedding size, H the hidden size, V the vocabulary. Tensors are
time-major: the kernels of oneDNN and cuDNN read them so without a transposition, and a window of a
text is a contiguous slice.

All that is random in a pass is drawn beforehand, as a `Draw`. A caller that walks a long document
in steps draws once and passes the same `Draw` to every step, so that "the same mask for all time
steps" holds for the document and not just for the step.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from gradual.training.settings import Settings

#: Cell and output state (h, c) of every layer, each (1, B, size).
Hidden = tuple[tuple[Tensor, Tensor], ...]
#: What torch's LSTM kernel takes: input-to-hidden, hidden-to-hidden and the two biases.
LSTMWeights = tuple[Tensor, Tensor, Tensor, Tensor]

#: A word's vector starts uniformly in ± this.
EMBEDDING_RANGE = 0.1
#: Standard deviation of a new layer's output where each gate is fed unit variance: about that of
#: sigmoid(o) · tanh(c) with c = sigmoid(f + 1) · c + sigmoid(i) · tanh(g) and i, f, g, o ~ N(0, 1).
OUTPUT_SD = 0.22


@dataclass(frozen=True)
class AWDLSTMConfig(Settings):
    """Sizes and dropout rates; the defaults are the language model's of ULMFiT.

    Attributes:
        embedding_size: E, the size of a word's vector.
        hidden_size: H, the size of every LSTM layer but the last, which goes back to E.
        layers: Number of LSTM layers.
        projection: Let the last layer have the hidden size too; a linear layer in front of the
            decoder goes back to E.
        output_dropout: Share of the encoder's output features dropped before the decoder or head.
        hidden_dropout: Share of the features dropped between two LSTM layers.
        input_dropout: Share of the features dropped between embedding and first layer.
        embedding_dropout: Share of the vocabulary's words dropped.
        weight_dropout: Share of the hidden-to-hidden weights dropped.
    """

    embedding_size: int = 400
    hidden_size: int = 1152
    layers: int = 3
    projection: bool = False
    output_dropout: float = 0.1
    hidden_dropout: float = 0.15
    input_dropout: float = 0.25
    embedding_dropout: float = 0.02
    weight_dropout: float = 0.2

    def __post_init__(self) -> None:
        for name in ("embedding_size", "hidden_size", "layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give a number of at least 1")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_dropout") and not 0 <= value < 1:
                raise ValueError(f"{field.name} is {value}: give a share from 0 up to below 1")

    def scaled(self, drop_mult: float) -> AWDLSTMConfig:
        """Return the same model with every dropout rate multiplied by `drop_mult`."""
        rates = {
            field.name: getattr(self, field.name) * drop_mult
            for field in dataclasses.fields(self)
            if field.name.endswith("_dropout")
        }
        return dataclasses.replace(self, **rates)

    @property
    def output_size(self) -> int:
        """Features of the encoder's output: E, or H where a projection follows."""
        return self.hidden_size if self.projection else self.embedding_size

    def layer_sizes(self) -> list[tuple[int, int]]:
        """Return (input, output) size of each LSTM layer."""
        sizes = [self.embedding_size] + [self.hidden_size] * (self.layers - 1)
        return list(zip(sizes, [*sizes[1:], self.output_size], strict=True))

    def check_same_sizes(self, other: AWDLSTMConfig, source: str) -> None:
        """Raise ValueError, naming the sizes that differ, unless `other` (of `source`) fits."""
        names = ("embedding_size", "hidden_size", "layers", "projection")
        wrong = [n for n in names if getattr(self, n) != getattr(other, n)]
        if wrong:
            listed = ", ".join(
                f"{n} {getattr(other, n)} (configured: {getattr(self, n)})" for n in wrong
            )
            raise ValueError(
                f"{source} has {listed}: set the configured sizes (under `model`) to those of the "
                "stored model, or train that model anew"
            )


@dataclass(frozen=True)
class Draw:
    """Everything random about one pass, and the weights it runs on.

    Attributes:
        words: Embedding dropout's factor of every word, (V, 1), or None where nothing is dropped.
        input: Input dropout's factors, (B, E), or None.
        hidden: Hidden dropout's factors after each layer but the last, (B, H), or None.
        output: Output dropout's factors, (B, output size), or None.
        weights: What each layer's kernel takes, hidden-to-hidden dropped, in the compute type.
    """

    words: Tensor | None
    input: Tensor | None
    hidden: tuple[Tensor | None, ...]
    output: Tensor | None
    weights: tuple[LSTMWeights, ...]

    def first(self, rows: int) -> Draw:
        """Return the draw for the first `rows` rows of the batch."""
        cut = lambda mask: None if mask is None else mask[:rows]  # noqa: E731
        return dataclasses.replace(
            self,
            input=cut(self.input),
            hidden=tuple(cut(mask) for mask in self.hidden),
            output=cut(self.output),
        )


def compute_dtype(device: torch.device) -> torch.dtype:
    """Return the type that autocast asks for on `device`, else float32."""
    if torch.is_autocast_enabled(device.type):
        return torch.get_autocast_dtype(device.type)
    return torch.float32


#: The first cuDNN whose LSTM takes bfloat16; torch leaves it for slow kernels with older ones.
_CUDNN_WITH_BFLOAT16 = 91300


def lstm_dtype(device: torch.device) -> torch.dtype:
    """Return the type of the LSTM kernels: `compute_dtype` where the fused ones know it.

    On a GPU with an older cuDNN the LSTMs run in float32 (TF32 products) under bfloat16.
    """
    dtype = compute_dtype(device)
    if device.type == "cuda" and dtype == torch.bfloat16:
        version = torch.backends.cudnn.version()
        if version is not None and version < _CUDNN_WITH_BFLOAT16:
            return torch.float32
    return dtype


def _mask(rate: float, shape: tuple[int, ...], like: Tensor, dtype: torch.dtype) -> Tensor | None:
    """Draw inverted-dropout factors: 0 with probability `rate`, else 1/(1-rate)."""
    if rate == 0:
        return None
    keep = torch.empty(shape, device=like.device, dtype=dtype).bernoulli_(1 - rate)
    return keep.div_(1 - rate)


def dropped(x: Tensor, mask: Tensor | None) -> Tensor:
    """Multiply (T, B, F) by a mask (B, F): the same features are dropped at every time step."""
    return x if mask is None else x * mask


class LSTMLayer(nn.Module):
    """The weights of one LSTM layer (gates in torch's order i, f, g, o).

    The module holds its own parameters and hands them to torch's kernel, because `nn.LSTM` cannot
    be told to use other weights for one pass, and a cell written out step by step would lose the
    fused kernels of oneDNN and cuDNN.

    It starts so that what a word says comes through every layer: input-to-hidden weights that give
    each gate unit variance, biases of 0, and 1 for the forget gate (Jozefowicz et al. 2015, "An
    Empirical Exploration of Recurrent Network Architectures"). torch's own start, uniform in
    ± 1 / sqrt(output size) throughout, lets the share of the output that depends on the word fall
    by ten a layer (with vectors as small as `EMBEDDING_RANGE`), beside a constant share of the
    biases; what a decoder then learns is word frequencies, and the cells saturate.

    Args:
        input_size: Features coming in.
        output_size: Features going out, also the size of the state.
        input_sd: Standard deviation of the features coming in.
    """

    def __init__(self, input_size: int, output_size: int, input_sd: float) -> None:
        super().__init__()
        self.output_size = output_size
        self.weight_ih = nn.Parameter(torch.empty(4 * output_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(4 * output_size, output_size))
        self.bias_ih = nn.Parameter(torch.empty(4 * output_size))
        self.bias_hh = nn.Parameter(torch.empty(4 * output_size))
        nn.init.normal_(self.weight_ih, std=1 / (math.sqrt(input_size) * input_sd))
        nn.init.uniform_(self.weight_hh, -(output_size**-0.5), output_size**-0.5)
        for bias in (self.bias_ih, self.bias_hh):
            nn.init.zeros_(bias)
        nn.init.ones_(self.bias_ih[output_size : 2 * output_size])

    def weights(self, weight_dropout: float, dtype: torch.dtype) -> LSTMWeights:
        """Return the weights for a pass: some hidden-to-hidden ones dropped, all in `dtype`.

        DropConnect on the hidden-to-hidden matrix (section 2) regularises the recurrence without
        touching the state itself, so that memory over long spans survives.
        """
        hh = F.dropout(self.weight_hh, weight_dropout, training=self.training)
        weights = [w.to(dtype) for w in (self.weight_ih, hh, self.bias_ih, self.bias_hh)]
        if self.weight_hh.is_cuda:
            weights = flattened(weights)
        return weights[0], weights[1], weights[2], weights[3]

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor], weights: LSTMWeights
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run (T, B, input) from `state` and return (T, B, output) and the state after it."""
        # Arguments: biases, layers, dropout between layers, training, bidirectional, batch first.
        # Types are settled here, not by autocast, whose rules for LSTMs differ between devices.
        with torch.autocast(x.device.type, enabled=False):
            output, h, c = torch._VF.lstm(
                x.to(weights[0].dtype),
                state,
                weights,
                True,
                1,
                0.0,
                torch.is_grad_enabled(),
                False,
                False,
            )
        return output.to(x.dtype), (h, c)


def flattened(weights: list[Tensor]) -> list[Tensor]:
    """Return `weights` as views of one stretch of memory, as cuDNN wants them.

    Otherwise cuDNN copies them (and warns) at every call rather than once per draw.
    """
    flat = torch.cat([w.reshape(-1) for w in weights])
    parts = flat.split([w.numel() for w in weights])
    return [part.view_as(w) for part, w in zip(parts, weights, strict=True)]


class AWDLSTM(nn.Module):
    """The encoder: word ids to one vector of `config.output_size` per word.

    Args:
        vocabulary_size: V.
        config: Sizes and dropout rates (already scaled).
    """

    def __init__(self, vocabulary_size: int, config: AWDLSTMConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(vocabulary_size, config.embedding_size)
        nn.init.uniform_(self.embedding.weight, -EMBEDDING_RANGE, EMBEDDING_RANGE)
        spread = [EMBEDDING_RANGE / math.sqrt(3)] + [OUTPUT_SD] * (config.layers - 1)
        self.layers = nn.ModuleList(
            LSTMLayer(*sizes, sd) for sizes, sd in zip(config.layer_sizes(), spread, strict=True)
        )

    def _layers(self) -> list[LSTMLayer]:
        return [layer for layer in self.layers if isinstance(layer, LSTMLayer)]

    def zero_state(self, batch: int) -> Hidden:
        """Return the state before the first word, in the type the LSTMs will compute in."""
        weight = self.embedding.weight
        dtype = lstm_dtype(weight.device)
        return tuple(
            (
                torch.zeros(1, batch, layer.output_size, device=weight.device, dtype=dtype),
                torch.zeros(1, batch, layer.output_size, device=weight.device, dtype=dtype),
            )
            for layer in self._layers()
        )

    def draw(self, batch: int) -> Draw:
        """Draw the dropouts for a pass over `batch` rows; in eval mode nothing is dropped."""
        config, weight = self.config, self.embedding.weight
        dtype = compute_dtype(weight.device)

        def mask(rate: float, *shape: int) -> Tensor | None:
            return _mask(rate if self.training else 0.0, shape, weight, dtype)

        return Draw(
            words=mask(config.embedding_dropout, len(weight), 1),
            input=mask(config.input_dropout, batch, config.embedding_size),
            hidden=tuple(
                mask(config.hidden_dropout, batch, layer.output_size)
                for layer in self._layers()[:-1]
            ),
            output=mask(config.output_dropout, batch, config.output_size),
            weights=tuple(
                layer.weights(config.weight_dropout, lstm_dtype(weight.device))
                for layer in self._layers()
            ),
        )

    def forward(
        self,
        ids: Tensor,
        hidden: Hidden | None = None,
        draw: Draw | None = None,
        shift: Tensor | None = None,
    ) -> tuple[Tensor, Hidden]:
        """Encode (T, B) word ids.

        Args:
            ids: Word ids, (T, B), int32 or int64.
            hidden: State to start from; None for the beginning of a text.
            draw: Dropouts of the pass; None draws new ones.
            shift: What is added to the words' vectors, (T, B, E); None adds nothing.

        Returns:
            The raw output (T, B, output size), before output dropout, and the state after the last
            word, detached: no gradient flows from one pass into the one before.
        """
        draw = self.draw(ids.shape[1]) if draw is None else draw
        hidden = self.zero_state(ids.shape[1]) if hidden is None else hidden
        x = F.embedding(ids, self.embedding.weight).to(compute_dtype(ids.device))
        if draw.words is not None:  # the mask's row of a word instead of a masked (V, E) matrix
            x = x * F.embedding(ids, draw.words)
        if shift is not None:
            x = x + shift.to(x.dtype)
        x = dropped(x, draw.input)
        after = []
        masks = (*draw.hidden, None)
        for layer, state, weights, mask in zip(
            self._layers(), hidden, draw.weights, masks, strict=True
        ):
            x, (h, c) = layer(x, state, weights)
            x = dropped(x, mask)
            after.append((h.detach(), c.detach()))
        return x, tuple(after)


class TiedDecoder(nn.Module):
    """The decoder's bias (V,), and the projection in front of it; its matrix is the embedding's.

    Tying (section 4.5) halves the parameters of the vocabulary and lets every occurrence of a word,
    read or predicted, train the same row. The matrix does not live here, so that a saved state
    holds it once.

    Args:
        vocabulary_size: V.
        config: Of the encoder.
    """

    def __init__(self, vocabulary_size: int, config: AWDLSTMConfig) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.projection: nn.Linear | None = None
        if config.projection:
            self.projection = nn.Linear(config.output_size, config.embedding_size, bias=False)
            nn.init.normal_(self.projection.weight, std=config.output_size**-0.5)


class LanguageModel(nn.Module):
    """AWD-LSTM encoder and tied decoder: from the words so far to the next one.

    Args:
        vocabulary_size: V.
        config: Sizes and dropout rates (already scaled).
    """

    def __init__(self, vocabulary_size: int, config: AWDLSTMConfig) -> None:
        super().__init__()
        self.encoder = AWDLSTM(vocabulary_size, config)
        self.decoder = TiedDecoder(vocabulary_size, config)

    def forward(
        self, ids: Tensor, hidden: Hidden | None = None, draw: Draw | None = None
    ) -> tuple[Tensor, Tensor, Hidden]:
        """Encode (T, B) word ids.

        Returns:
            The raw output (T, B, output size), the output after output dropout, of the same shape,
            which the decoder reads, and the state after the last word. Logits are left to the
            caller, because for large vocabularies nobody wants all of them in memory at once.
        """
        draw = self.encoder.draw(ids.shape[1]) if draw is None else draw
        raw, hidden = self.encoder(ids, hidden, draw)
        return raw, dropped(raw, draw.output), hidden

    def decoded(self, output: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `softmax.linear_cross_entropy` takes: features (N, E), matrix, bias."""
        features = output.flatten(0, -2)
        if self.decoder.projection is not None:
            features = self.decoder.projection(features)
        return features, self.encoder.embedding.weight, self.decoder.bias

    def logits(self, output: Tensor) -> Tensor:
        """Decode (…, output size) to logits (…, V)."""
        features, weight, bias = self.decoded(output)
        logits = F.linear(features, weight.to(features.dtype), bias.to(features.dtype))
        return logits.view(*output.shape[:-1], -1)

    def layer_groups(self) -> list[list[nn.Module]]:
        """Return the LSTM layers, each a group, then embedding and decoder as the last group.

        The last group comes first in gradual unfreezing: with a new vocabulary it is the part that
        knows least.
        """
        return [[layer] for layer in self.encoder.layers] + [[self.encoder.embedding, self.decoder]]
