"""Batches of documents of similar length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gradual.text.classifier_model import ClassifierConfig


def _cut(
    documents: np.ndarray, lengths: np.ndarray, batch_size: int, tokens: int, most: int
) -> list[np.ndarray]:
    """Cut ordered documents into batches of at most `batch_size` and, padded, `tokens` words.

    A document counts as at most `most` words. Inside a batch the longest comes first.
    """
    batches: list[np.ndarray] = []
    start, longest = 0, 0
    for i, length in enumerate(np.minimum(lengths[documents], most).tolist()):
        longest = max(longest, length)
        if i > start and (i - start == batch_size or (i + 1 - start) * longest > tokens):
            batches.append(documents[start:i])
            start, longest = i, length
    batches.append(documents[start:])
    return [batch[np.argsort(-lengths[batch], kind="stable")] for batch in batches]


@dataclass(frozen=True)
class ClassifierBatches:
    """One epoch of batches of documents of similar length, in random order.

    The documents are shuffled, then sorted by length within stretches of 50 batches, with a tenth
    of noise, so that small collections too meet in new batches every epoch. The batch with the
    longest document comes first: if memory does not suffice, that shows at once.

    Attributes:
        lengths: Words of every document of the corpus.
        documents: Numbers of those to use.
        config: Batch sizes.
        epoch: Counted from 0; with the seed it decides the order.
        seed: Of the run.
    """

    lengths: np.ndarray
    documents: np.ndarray
    config: ClassifierConfig
    epoch: int
    seed: int

    def _batches(self) -> list[np.ndarray]:
        config = self.config
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(self.documents)
        noisy = self.lengths * random.uniform(0.9, 1.1, len(self.lengths))
        batches: list[np.ndarray] = []
        for start in range(0, len(order), 50 * config.batch_size):
            stretch = order[start : start + 50 * config.batch_size]
            batches += _cut(
                stretch[np.argsort(-noisy[stretch], kind="stable")],
                self.lengths,
                config.batch_size,
                config.tokens_per_batch,
                config.pool_tokens + config.bptt,
            )
        batches = [batches[i] for i in random.permutation(len(batches))]
        longest = int(np.argmax([self.lengths[batch[0]] for batch in batches]))
        batches[0], batches[longest] = batches[longest], batches[0]
        return batches

    def __len__(self) -> int:
        return len(self._batches())

    def iterate(self, start: int) -> Iterator[np.ndarray]:
        """Yield document numbers, longest document first, from batch `start` on."""
        yield from self._batches()[start:]
