"""fastai's side of the comparison, for its own virtual environment. Prints one JSON line.

theirs.py FOLDER: writes models in fastai's files there, and what fastai answers with them.
"""

import argparse
import json
import tarfile
from pathlib import Path
from typing import Any

import fastai
import numpy as np
import pandas as pd
import torch
from fastai.basics import save_pickle
from fastai.text.core import defaults
from fastai.text.data import TextDataLoaders
from fastai.text.learner import language_model_learner, match_embeds
from fastai.text.models.awdlstm import AWD_LSTM, awd_lstm_lm_config
from fastai.text.models.core import get_language_model

WINDOWS, WORDS, ROWS = 4, 12, 3


def answers(model: Any, vocabulary: list[str]) -> dict[str, np.ndarray]:
    """Logits of some windows in a row, the state carried: ids (W, B, T), logits (W, B, T, V)."""
    usable = [i for i, word in enumerate(vocabulary) if word != "xxfake"]
    chosen = np.random.default_rng(1).choice(usable, (WINDOWS, ROWS, WORDS))
    model.eval()
    model.reset()
    with torch.no_grad():
        logits = [model(torch.from_numpy(window))[0].numpy() for window in chosen]
    return {"ids": chosen, "logits": np.stack(logits)}


def packed(folder: Path, name: str, weights: Path, vocabulary: list[str]) -> None:
    """Put weights and words into an archive as the public ones are."""
    words = folder / "itos_wt103.pkl"
    save_pickle(words, vocabulary)
    with tarfile.open(folder / f"{name}.tgz", "w:gz", compresslevel=1) as tar:
        tar.add(weights, f"{name}/{weights.name}")
        tar.add(words, f"{name}/{words.name}")


def published(folder: Path) -> None:
    """A model of the published size, and its embedding for another list of words."""
    torch.manual_seed(0)
    vocabulary = [*defaults.text_spec_tok, *(f"word{i}" for i in range(60_000 - 17))]
    vocabulary += ["xxfake"] * (60_000 - len(vocabulary))
    model = get_language_model(AWD_LSTM, len(vocabulary), config=awd_lstm_lm_config)
    model[1].decoder.bias.data.uniform_(-5, 0)
    weights = folder / "lstm_fwd.pth"
    torch.save(model.state_dict(), weights)
    packed(folder, "published-fwd", weights, vocabulary)
    np.savez(folder / "published-fwd.npz", **answers(model, vocabulary))
    other = [*defaults.text_spec_tok, *(f"word{i}" for i in range(0, 60_000, 7)), "new", "newer"]
    made = match_embeds(dict(model.state_dict()), vocabulary, other)
    np.savez(
        folder / "other_words.npz",
        words=np.array(other),
        embedding=made["0.encoder.weight"].numpy(),
        bias=made["1.decoder.bias"].numpy(),
    )
    (folder / "published-fwd.json").write_text(json.dumps(vocabulary))


def trained(folder: Path) -> None:
    """A small model after an epoch, in three of fastai's ways to store it."""
    random = np.random.default_rng(0)
    words = [f"w{i}" for i in range(300)]
    texts = [" ".join(random.choice(words, 40)) for _ in range(200)]
    frame = pd.DataFrame({"text": texts})
    loaders = TextDataLoaders.from_df(
        frame, text_col="text", is_lm=True, valid_pct=0.1, bs=8, seq_len=16, num_workers=0
    )
    config = awd_lstm_lm_config | {"emb_sz": 48, "n_hid": 96, "n_layers": 2}
    learner = language_model_learner(
        loaders, AWD_LSTM, config=config, pretrained=False, path=folder, model_dir="models"
    )
    with learner.no_bar(), learner.no_logging():
        learner.fit(1, 1e-2)
    vocabulary = list(learner.dls.vocab)
    models = folder / "models"
    learner.save("with_opt")
    learner.save("without_opt", with_opt=False)
    learner.save_encoder("encoder")
    found = answers(learner.model, vocabulary)
    learner.model[1].decoder.bias.data.zero_()
    without_bias = answers(learner.model, vocabulary)
    for name in ("with_opt", "without_opt", "encoder"):
        packed(folder, name, models / f"{name}.pth", vocabulary)
        np.savez(folder / f"{name}.npz", **(without_bias if name == "encoder" else found))
        (folder / f"{name}.json").write_text(json.dumps(vocabulary))


def main() -> None:
    """Write all of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    published(options.folder)
    trained(options.folder)
    print(json.dumps({"fastai": fastai.__version__, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
