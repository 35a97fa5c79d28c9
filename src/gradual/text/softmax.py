"""The softmax over a large vocabulary, in bounded memory.

A batch of 2,240 words against a vocabulary of 60,000 has 134 million logits: half a gigabyte in
float32, several times over in the backward pass, and on a CPU most of the time of a training step.
Here the gradient of the cross-entropy (softmax minus one-hot, so known as soon as the loss is)
overwrites the logits and is turned into the small gradients of features, matrix and bias on the
spot. Rows are taken in blocks, large ones for the matrix products, small ones for the float32
softmax between them.

With 30,000 words and more even that is most of a step on a CPU. `sampled_cross_entropy` sums over
a part of the vocabulary instead, and weighs each word by how likely it was to be left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.autograd.function import once_differentiable

#: Logits held at a time: 256 MiB in bfloat16.
_BLOCK_LOGITS = 2**27
#: Logits that the softmax takes at a time: on a CPU about what fits the caches; an accelerator
#: wants them all.
_CPU_SOFTMAX_LOGITS = 2**20


def _blocks(rows: int, vocabulary_size: int, logits: int) -> Iterator[slice]:
    """Yield slices that cover `rows` rows, each with at most `logits` logits (or one row)."""
    size = max(1, logits // vocabulary_size)
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def _softmax_logits(device: torch.device) -> int:
    return _CPU_SOFTMAX_LOGITS if device.type == "cpu" else _BLOCK_LOGITS


class _LinearCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of `features @ weight.T + bias`, gradients computed on the way forward.

    `extra` (N,) is added to the logit of each row's target.
    """

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        extra: Tensor | None = None,
    ) -> Tensor:
        needs_features, needs_weight, needs_bias, *_ = ctx.needs_input_grad
        needs_any = any(ctx.needs_input_grad)
        grad_features = torch.empty_like(features) if needs_features else None
        grad_weight: Tensor | None = None
        grad_bias = torch.zeros_like(bias) if needs_bias else None
        loss = torch.zeros((), device=features.device)
        n, vocabulary_size = len(features), len(weight)
        with torch.autocast(features.device.type, enabled=False):
            cast_weight = weight.to(features.dtype)
            for block in _blocks(n, vocabulary_size, _BLOCK_LOGITS):
                x, y = features[block], targets[block].unsqueeze(1)
                more = None if extra is None else extra[block].unsqueeze(1)
                logits = x @ cast_weight.t()
                for part in _blocks(len(x), vocabulary_size, _softmax_logits(x.device)):
                    z = logits[part].float().add_(bias)
                    if more is not None:
                        z.scatter_add_(1, y[part], more[part])
                    p = torch.softmax(z, 1)
                    # -log p[target] = logsumexp(z) - z[target], and the largest p, which never
                    # underflows, gives the logsumexp: one pass over the logits less.
                    loss += (z.amax(1) - p.amax(1).log()).sum() - z.gather(1, y[part]).sum()
                    if needs_any:  # d loss / d logits = (p - onehot) / n
                        p.div_(n).scatter_add_(1, y[part], p.new_full(y[part].shape, -1 / n))
                        logits[part] = p
                        if grad_bias is not None:
                            grad_bias += p.sum(0)
                if grad_features is not None:
                    torch.mm(logits, cast_weight, out=grad_features[block])
                if needs_weight:
                    product = (logits.t() @ x).to(weight.dtype)
                    grad_weight = product if grad_weight is None else grad_weight.add_(product)
        ctx.save_for_backward(grad_features, grad_weight, grad_bias)
        return loss / n

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        scale = grad_outputs[0]
        grads = [None if g is None else g.mul_(scale.to(g.dtype)) for g in ctx.saved_tensors]
        return (*grads, None, None)


def linear_cross_entropy(features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Return `cross_entropy(features @ weight.T + bias, targets)`, the mean over rows.

    Matrices are multiplied in the type of `features`; softmax and loss are float32. The graph can
    be walked backwards once.

    Args:
        features: (N, E), float32 or bfloat16.
        weight: (V, E), float32.
        bias: (V,), float32.
        targets: (N,), int64, each in 0 … V-1.

    Returns:
        A float32 scalar.
    """
    return cast(Tensor, _LinearCrossEntropy.apply(features, weight, bias, targets))


def sampled_cross_entropy(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    frequencies: Tensor,
    count: int,
) -> Tensor:
    """Estimate `linear_cross_entropy` from a part of the vocabulary.

    The part holds all words that are a target in this batch, and `count` words drawn uniformly
    without replacement, so that a word j is in it with probability

        pi_j = 1 - (1 - count / V) · (1 - f_j)^N,

    where f_j is its frequency. The sum over the vocabulary in the softmax' denominator is estimated
    by exp(z_y) + sum over the others in the part of exp(z_j) / pi_j (Horvitz and Thompson 1952),
    which is right on average, so the logits that the model learns are those of the full softmax
    (Bengio and Senécal 2008, "Adaptive Importance Sampling to Accelerate Training of a Neural
    Probabilistic Language Model").

    Args:
        features: (N, E), float32 or bfloat16.
        weight: (V, E), float32.
        bias: (V,), float32.
        targets: (N,), int64, each in 0 … V-1.
        frequencies: (V,), float32, each word's share of the text.
        count: Words to draw; from V on the softmax is the full one.

    Returns:
        A float32 scalar.
    """
    size = len(weight)
    if count >= size:
        return linear_cross_entropy(features, weight, bias, targets)
    chosen = torch.zeros(size, dtype=torch.bool, device=weight.device)
    chosen[torch.randperm(size, device=weight.device)[:count]] = True
    chosen[targets] = True
    words = chosen.nonzero().squeeze(1)
    absent = torch.log1p(-frequencies[words]) * len(targets) + math.log1p(-count / size)
    likely = torch.log(-torch.expm1(absent))  # log pi
    position = torch.cumsum(chosen, 0).sub_(1)[targets]
    return cast(
        Tensor,
        _LinearCrossEntropy.apply(
            features,
            F.embedding(words, weight),
            bias[words] - likely,
            position,
            likely[position],
        ),
    )


@torch.no_grad()
def linear_scores(
    features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Return each target's cross-entropy (N,) in nats, and whether it ranks first (N,), bool.

    Args: as for `linear_cross_entropy`.
    """
    loss = torch.empty(len(features), device=features.device, dtype=torch.float32)
    hits = torch.empty(len(features), device=features.device, dtype=torch.bool)
    weight = weight.to(features.dtype)
    for block in _blocks(len(features), len(weight), _BLOCK_LOGITS // 8):
        logits, y = features[block] @ weight.t(), targets[block].unsqueeze(1)
        for part in _blocks(len(logits), len(weight), _softmax_logits(logits.device)):
            rows = slice(block.start + part.start, block.start + part.stop)
            z = logits[part].float().add_(bias)
            of_target, highest = z.gather(1, y[part]).squeeze(1), z.amax(1)
            # Of several words that rank first with one logit, each counts as first.
            hits[rows] = of_target >= highest
            loss[rows] = z.sub_(highest.unsqueeze(1)).exp_().sum(1).log_() + highest - of_target
    return loss, hits
