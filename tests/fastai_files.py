"""Small language models in the files that fastai writes, made without fastai."""

import io
import itertools
import pickle
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

# What every list of words of fastai 1.0 begins with; the last four are in another order here.
WORDS = ["xxunk", "xxpad", "xxbos", "xxeos", "xxfld", "xxmaj", "xxup", "xxrep", "xxwrep"]
WORDS += ["the", "a", "film", "was", "of", "and", "weaver", "xxfake", "xxfake"]


def state_dict(
    rows: int = len(WORDS), sizes: tuple[int, ...] = (8, 12, 8), seed: int = 0
) -> dict[str, Tensor]:
    """A language model's tensors by fastai 2's names, in its order.

    Args:
        rows: Words.
        sizes: Of the embedding, and of each LSTM layer's output.
        seed: Of the random weights.
    """
    random = torch.Generator().manual_seed(seed)

    def tensor(*shape: int) -> Tensor:
        return torch.rand(shape, generator=random) - 0.5

    embedding = tensor(rows, sizes[0])
    state = {"0.encoder.weight": embedding, "0.encoder_dp.emb.weight": embedding}
    for i, (before, after) in enumerate(itertools.pairwise(sizes)):
        state[f"0.rnns.{i}.weight_hh_l0_raw"] = tensor(4 * after, after)
        state[f"0.rnns.{i}.module.weight_ih_l0"] = tensor(4 * after, before)
        state[f"0.rnns.{i}.module.bias_ih_l0"] = tensor(4 * after)
        state[f"0.rnns.{i}.module.bias_hh_l0"] = tensor(4 * after)
    return state | {"1.decoder.weight": embedding, "1.decoder.bias": tensor(rows)}


def stored(state: Any, **arguments: Any) -> bytes:
    """What `torch.save` writes."""
    file = io.BytesIO()
    torch.save(state, file, **arguments)
    return file.getvalue()


def archive(
    path: Path,
    state: Any = None,
    words: Any = WORDS,
    *,
    weights: str = "lstm_wt103.pth",
    more: Iterable[tuple[str, bytes]] = (),
) -> Path:
    """Write an archive as fastai publishes it.

    Args:
        path: The .tgz to write.
        state: What the .pth holds; bytes stand for themselves.
        words: What the .pkl holds; bytes stand for themselves.
        weights: Name of the .pth.
        more: Further members, name and content.
    """
    state = state_dict() if state is None else state
    members = [
        (f"wt103/{weights}", state if isinstance(state, bytes) else stored(state)),
        ("wt103/itos_wt103.pkl", words if isinstance(words, bytes) else pickle.dumps(words)),
    ]
    with tarfile.open(path, "w:gz") as tar:
        for name, content in (*members, *more):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def logits(state: dict[str, Tensor], ids: Tensor) -> Tensor:
    """What fastai's network answers in evaluation mode, by `nn.LSTM`: (T, B) to (T, B, V)."""
    x = state["0.encoder.weight"][ids]
    layer = 0
    while (raw := state.get(f"0.rnns.{layer}.weight_hh_l0_raw")) is not None:
        own = f"0.rnns.{layer}.module."
        lstm = nn.LSTM(x.shape[-1], raw.shape[1])
        lstm.load_state_dict(
            {n.removeprefix(own): t for n, t in state.items() if n.startswith(own)}
            | {"weight_hh_l0": raw}
        )
        x = lstm(x)[0]
        layer += 1
    return x @ state["1.decoder.weight"].t() + state["1.decoder.bias"]
