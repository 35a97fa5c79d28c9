"""Training speed of the language model beside bare PyTorch, in one run on one machine.

The bare model is `nn.LSTM` layers of the same sizes, a tied linear decoder and `cross_entropy`,
with the same AdamW and the same precision, without dropout, regularisation or carried state.

    python benchmarks/language_model_speed.py [--large]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from gradual.text.awd_lstm import AWDLSTMConfig
from gradual.text.corpus import Corpus
from gradual.text.language_model import LanguageModelConfig, LanguageModelTask, new_language_model
from gradual.training.device import resolve_device, resolve_precision


class Bare(nn.Module):
    """What one writes first."""

    def __init__(self, vocabulary: int, config: AWDLSTMConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, config.embedding_size)
        self.layers = nn.ModuleList(nn.LSTM(i, o) for i, o in config.layer_sizes())
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, ids: Tensor) -> Tensor:
        """Return the logits of the next words."""
        x = self.embedding(ids)
        for layer in self.layers:
            x, _ = layer(x)
        return F.linear(x, self.embedding.weight, self.bias)


def seconds_a_step(step: Callable[[], None], steps: int) -> float:
    """Return the fastest step's seconds: others on the machine only ever slow one down."""
    best = float("inf")
    for _ in range(steps):
        start = time.perf_counter()
        step()
        best = min(best, time.perf_counter() - start)
    return best


def measure(vocabulary: int, embedding: int, hidden: int, rows: int, bptt: int, steps: int) -> None:
    """Time both and print words a second."""
    device = resolve_device("auto")
    dtype = resolve_precision("auto", device)
    sizes = AWDLSTMConfig(embedding_size=embedding, hidden_size=hidden)
    ids = np.random.default_rng(0).integers(0, vocabulary, rows * bptt * 4).astype(np.uint16)
    corpus = Corpus(ids, np.array([0, len(ids) // 2, len(ids)]), "none")
    valid = np.array([False, True])
    config = LanguageModelConfig(model=sizes, batch_size=rows, bptt=bptt)

    def trainer(model: nn.Module, loss_of: Callable[[], Tensor]) -> Callable[[], None]:
        optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)

        def step() -> None:
            with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
                loss = loss_of()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

        return step

    model = new_language_model(vocabulary, sizes.scaled(config.drop_mult), seed=0)
    task = LanguageModelTask(model, corpus, valid, config)
    task.to(device)
    batch = next(task.batches(0, 0).iterate(0))
    words = batch[0].numel()
    ours = seconds_a_step(trainer(model, lambda: task.loss(batch)), steps)

    bare = Bare(vocabulary, sizes).to(device)
    x, y = (t.long() for t in batch)
    plain = seconds_a_step(
        trainer(bare, lambda: F.cross_entropy(bare(x).flatten(0, 1), y.flatten())), steps
    )
    print(
        f"embedding {embedding}, hidden {hidden}, vocabulary {vocabulary}, {rows} x {bptt}, "
        f"{device} {dtype}: gradual {words / ours:,.0f} words/s, "
        f"bare {words / plain:,.0f} words/s, ratio {plain / ours:.2f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="also the full size")
    arguments = parser.parse_args()
    measure(3000, 64, 128, 32, 70, steps=40)
    if arguments.large:
        measure(60000, 400, 1152, 32, 70, steps=4)
