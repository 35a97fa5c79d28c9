"""Read fastai's files and lay our logits beside fastai's; writes results.md.

python compare.py --fastai-python PATH
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from gradual.text.bundles import vocabulary_of
from gradual.text.fastai_weights import fastai_language_model
from gradual.text.language_model import language_model_from_bundle, transfer_vocabulary
from gradual.training.bundle import Bundle, BundleError

HERE = Path(__file__).parent
CASES = {
    "published-fwd": "published layout and size, random weights",
    "without_opt": "trained, `learn.save(…, with_opt=False)`",
    "with_opt": "trained, `learn.save(…)` with the optimiser",
    "encoder": "trained, `save_encoder`: the decoder without bias",
}


def logits(bundle: Bundle, words: list[str], ids: np.ndarray) -> np.ndarray:
    """Our logits for fastai's ids (W, B, T), by fastai's ids: (W, B, T, V), 0 for fillers."""
    vocabulary = vocabulary_of(bundle)
    ours = np.array([vocabulary.index(word) for word in words])
    model = language_model_from_bundle(bundle).eval()
    hidden, result = None, []
    with torch.no_grad():
        for window in torch.from_numpy(ours[ids]):
            _, output, hidden = model(window.t(), hidden)
            result.append(model.logits(output).transpose(0, 1).numpy()[..., ours])
    return np.stack(result)


def compared(folder: Path, name: str) -> str:
    """A line of the table: one way to store a model."""
    words = json.loads((folder / f"{name}.json").read_text())
    theirs = np.load(folder / f"{name}.npz")
    start = time.perf_counter()
    try:
        bundle = fastai_language_model(folder / f"{name}.tgz")
    except BundleError as error:
        told = str(error).replace(str(folder), "").partition(", and what")[0]
        return f"| {CASES[name]} | refused: {told} | | | | |"
    seconds = time.perf_counter() - start
    config = bundle.config["model"]
    sizes = f"{config['embedding_size']}/{config['hidden_size']}/{config['layers']}"
    real = np.array([word != "xxfake" for word in words])
    expected = theirs["logits"][..., real]
    off = np.abs(logits(bundle, words, theirs["ids"])[..., real] - expected).max(axis=(1, 2, 3))
    return (
        f"| {CASES[name]} | {sizes}, {len(words):,} words | {expected.size:,} | "
        f"{np.abs(expected).max():.2f} | {off[0]:.1e} | {off.max():.1e} | {seconds:.1f} |"
    )


def transferred(folder: Path) -> str:
    """How far the embedding for another list of words is from fastai's."""
    theirs = np.load(folder / "other_words.npz")
    bundle = fastai_language_model(folder / "published-fwd.tgz")
    words = tuple(str(word) for word in theirs["words"])
    state, known = transfer_vocabulary(bundle.state, vocabulary_of(bundle).words, words)
    lines = []
    for name, key in (("embedding.weight", "embedding"), ("decoder.bias", "bias")):
        ours = next(tensor for each, tensor in state.items() if each.endswith(name)).numpy()
        off = np.abs(ours - theirs[key]).reshape(len(words), -1).max(axis=1)
        lines.append(
            f"- {key}: known words differ by at most {off[known].max():.1e}, new ones by "
            f"{off[~known].max():.1e}"
        )
    return f"{int(known.sum()):,} of {len(words):,} words are known.\n\n" + "\n".join(lines)


def main() -> None:
    """Measure, print and write results.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fastai-python", required=True, help="python with fastai installed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [options.fastai_python, str(HERE / "theirs.py"), name]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        versions = json.loads(output.strip().splitlines()[-1])
        lines = [compared(folder, case) for case in CASES]
        other = transferred(folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    text = "\n".join(
        [
            "# Results",
            "",
            f"Written by `compare.py`; Python {platform.python_version()}, torch "
            f"{torch.__version__}, fastai {versions['fastai']} with torch {versions['torch']} on "
            "their side. float32 on the CPU, evaluation mode.",
            "",
            "| stored as | sizes | logits compared | largest logit | largest difference, first "
            "window | all windows, state carried | seconds to read |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *lines,
            "",
            f"Peak memory of all of it on our side: {peak:.1f} GB.",
            "",
            "## Another vocabulary",
            "",
            "`transfer_vocabulary` here beside `match_embeds` there, at the published size: "
            f"{other}",
            "",
            "New words start at the mean; fastai's counts its fillers among the words, ours does "
            "not.",
            "",
        ]
    )
    sys.stdout.write(text)
    (HERE / "results.md").write_text(text)


if __name__ == "__main__":
    main()
