"""gradual: text, tables and ratings to trained, tracked, retrainable models."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradual.models import Model

__version__ = "0.1.0"

# How often OpenMP's threads look for work before they sleep. By default it is 300 times as often:
# hardly faster on idle cores, but many times slower as soon as anything else wants one of them
# (docs/benchmarks.md). OpenMP reads this once, when torch is first imported.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def load(
    address: str | Path, *, device: str = "auto", allowed_rules: Collection[str] = ()
) -> Model:
    """Load a trained model of any kind, ready to be asked.

    Args:
        address: The file of a bundle (`data/06_models/imdb/classifier.safetensors`), or a model
            that MLflow has: `models:/<name>@<alias>`, `models:/<name>/<version>` or `models:/m-…`.
        device: "auto" or a torch device.
        allowed_rules: Rules of your own (`package.module:function`) that the tokenizer of a text
            model may import and call. Nothing else that a bundle names is ever run.

    Raises:
        BundleError: There is no such file or model, it is damaged, or no model that can be asked.
        ValueError: It names a rule that is not allowed.

    Examples:
        >>> model = gradual.load("data/06_models/imdb/classifier.safetensors")
        >>> model.predict(["A dull, lifeless film.", "What a joy!"])
    """
    # Here, so that `import gradual` stays quick.
    from gradual.models import model_of

    if str(address).startswith("models:"):
        from gradual.tracking import load_registered

        bundle = load_registered(str(address))
    else:
        from gradual.training.bundle import load_bundle

        bundle = load_bundle(Path(address))
    return model_of(bundle, device=device, allowed_rules=allowed_rules)
