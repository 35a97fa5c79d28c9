"""The softmax over a large vocabulary, in bounded memory.

A batch of 2,240 words against a vocabulary of 60,000 has 134 million logits: half a gigabyte in
float32, several times over in the backward pass, and on a CPU most of the time of a training step.
Here the gradient of the cross-entropy (softmax minus one-hot, so known as soon as the loss is)
overwrites the logits and is turned into the small gradients of features, matrix and bias on the
spot. Rows are taken in blocks, large ones for the matrix products, small ones for the float32
softmax between them.
"""

from __future__ import annotations

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
    """Mean cross-entropy of `features @ weight.T + bias`, gradients computed on the way forward."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor
    ) -> Tensor:
        needs_features, needs_weight, needs_bias, _ = ctx.needs_input_grad
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
                logits = x @ cast_weight.t()
                for part in _blocks(len(x), vocabulary_size, _softmax_logits(x.device)):
                    z = logits[part].float().add_(bias)
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
        return (*grads, None)


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
    for rows in _blocks(len(features), len(weight), _BLOCK_LOGITS // 8):
        logits = (features[rows] @ weight.t()).float().add_(bias)
        loss[rows] = F.cross_entropy(logits, targets[rows], reduction="none")
        hits[rows] = logits.argmax(1) == targets[rows]
    return loss, hits
