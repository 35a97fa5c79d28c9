"""Trained models."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io.core import DatasetError, Version
from kedro_datasets._typing import JSONPreview

from gradual import tracking
from gradual.io.atomic import AtomicFileDataset

if TYPE_CHECKING:
    from gradual.training.bundle import Bundle

# gradual.training.bundle imports torch: seconds that `kedro catalog list` should not cost.


class BundleDataset(AtomicFileDataset["Bundle", "Bundle | None"]):
    """A trained model with all that is needed to use it, in one safetensors file.

    `filepath: null` names no model: it loads as None, which a training node takes as "start from
    random weights", and cannot be saved. `models:/<name>@<alias>` or `models:/<name>/<version>`
    names a model in MLflow's registry, which is fetched from there and cannot be saved either.

    Examples:
        ```yaml
        imdb.classifier:
          type: gradual.io.BundleDataset
          filepath: data/06_models/imdb/classifier.safetensors
          kind: text_classifier
          metadata:
            kedro-viz: {layer: models}

        imdb.pretrained:  # conf/local may name a language model here
          type: gradual.io.BundleDataset
          filepath: models:/wikitext_language_model@champion
          kind: language_model
        ```

        >>> dataset = BundleDataset(filepath="classifier.safetensors", kind="text_classifier")
        >>> dataset.save(bundle)
        >>> dataset.load().hash == bundle.hash
        True
    """

    def __init__(
        self,
        *,
        filepath: str | os.PathLike[str] | None,
        kind: str | None = None,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """As `AtomicFileDataset`, and the kind of model.

        Args:
            filepath: The local file, a registered model, or None for no model.
            kind: Kind that the bundle must be of, e.g. `language_model`; None allows any.
            version: Set by Kedro where the catalog says `versioned: true`.
            metadata: Ignored here; read by plugins such as kedro-viz.
        """
        self._registered = (
            filepath if isinstance(filepath, str) and filepath.startswith("models:") else None
        )
        local = "" if filepath is None or self._registered else filepath
        super().__init__(filepath=local, version=version, metadata=metadata)
        self._kind = kind
        self._absent = filepath is None

    def load(self) -> "Bundle | None":
        """Read the bundle; None where `filepath` is null."""
        if self._registered is not None:
            return tracking.load_registered(self._registered, self._kind)
        return None if self._absent else super().load()

    def save(self, data: "Bundle") -> None:
        """Write the bundle, or leave the file as it was and raise."""
        if self._absent:
            raise DatasetError("filepath is null: name a file to save the bundle to")
        if self._registered is not None:
            raise DatasetError(
                f"{self._registered} is a registered model, which pipelines read: name a file to "
                "save the bundle to, and have a node log and register it"
            )
        if self._kind is not None and data.kind != self._kind:
            raise DatasetError(
                f"{self._filepath} is to hold a {self._kind}, but a {data.kind} is saved to it: "
                "correct `kind` in the catalog, or the node's output"
            )
        super().save(data)

    def _read(self, path: Path) -> "Bundle":
        from gradual.training.bundle import load_bundle

        return load_bundle(path, kind=self._kind)

    def _write(self, data: "Bundle", path: Path) -> None:
        from gradual.training.bundle import save_bundle

        save_bundle(data, path)

    def _exists(self) -> bool:
        # Whether a registered model is there its registry says when it is loaded.
        return self._absent or self._registered is not None or super()._exists()

    def _describe(self) -> dict[str, Any]:
        filepath = None if self._absent else self._registered or self._filepath
        return {**super()._describe(), "filepath": filepath, "kind": self._kind}

    def preview(self) -> JSONPreview:
        """Kind, configuration, size and dependencies of the model for kedro-viz."""
        bundle = self.load()
        if bundle is None:
            return JSONPreview(json.dumps({"filepath": None, "model": "none: random weights"}))
        summary = {
            "kind": bundle.kind,
            "hash": bundle.hash,
            "parameters": sum(tensor.numel() for tensor in bundle.state.values()),
            "dependencies": bundle.dependencies,
            "config": bundle.config,
        }
        return JSONPreview(json.dumps(summary))
