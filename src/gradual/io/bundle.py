"""Trained models."""

import json
import logging
import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io.core import AbstractDataset, DatasetError, Version
from kedro_datasets._typing import JSONPreview

from gradual import tracking
from gradual.io.atomic import AtomicFileDataset
from gradual.io.download import SourceFile

if TYPE_CHECKING:
    from gradual.training.bundle import Bundle

# gradual.training.bundle imports torch: seconds that `kedro catalog list` should not cost.

logger = logging.getLogger(__name__)

#: What the address of a language model begins with that fastai has stored.
FASTAI = "fastai:"


class BundleDataset(AtomicFileDataset["Bundle", "Bundle | None"]):
    """A trained model with all that is needed to use it, in one safetensors file.

    `filepath: null` names no model: it loads as None, which a training node takes as "start from
    random weights", and cannot be saved. `models:/<name>@<alias>` or `models:/<name>/<version>`
    names a model in MLflow's registry, which is fetched from there and cannot be saved either; nor
    can `fastai:<path or URL>`, a language model of fastai in its own files (see
    `gradual.text.fastai_weights`). A URL is downloaded, or taken from a mirror, as that of a
    source is; what follows `#sha256=` is the archive's checksum.

    `champion` names a registered model: its version with that alias is loaded, or where there is
    none the file, and None where `filepath` is null. The log says which. It cannot be saved.

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

        other.pretrained:
          type: gradual.io.BundleDataset
          filepath: fastai:https://s3.amazonaws.com/fast-ai-modelzoo/wt103-bwd.tgz
          backwards: true
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
        backwards: bool = False,
        champion: str | None = None,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """As `AtomicFileDataset`, and the kind of model.

        Args:
            filepath: The local file, a registered model, one of fastai, or None for no model.
            kind: Kind that the bundle must be of, e.g. `language_model`; None allows any.
            backwards: Whether a model of fastai reads texts from their ends, which its files do
                not say.
            champion: A registered model whose champion is loaded instead of the file.
            version: Set by Kedro where the catalog says `versioned: true`.
            metadata: Ignored here; read by plugins such as kedro-viz.
        """
        address = filepath if isinstance(filepath, str) else ""
        self._registered = address if address.startswith("models:") else None
        self._fastai = _fastai_file(address) if address.startswith(FASTAI) else None
        local = "" if filepath is None or self._registered or self._fastai else filepath
        super().__init__(filepath=local, version=version, metadata=metadata)
        self._kind = kind
        self._backwards = backwards
        self._absent = filepath is None
        self._champion = champion

    def load(self) -> "Bundle | None":
        """Read the bundle; None where `filepath` is null."""
        if self._champion is not None and (found := self._load_champion(self._champion)):
            return found
        if self._registered is not None:
            return tracking.load_registered(self._registered, self._kind)
        if self._fastai is not None:
            return self._load_fastai(self._fastai)
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
        if self._champion is not None:
            raise DatasetError(f"the champion of {self._champion} is read: name a file to save to")
        if self._fastai is not None:
            raise DatasetError(
                f"{self._shown} is a model of fastai, which pipelines read: name a .safetensors "
                "file to save the bundle to"
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

    def _load_champion(self, name: str) -> "Bundle | None":
        found = tracking.find_version(name, "champion")
        if found is None:
            instead = "nothing to start from" if self._absent else f"{self._filepath} answers"
            logger.info("%s: no registered model %s has a champion", instead, name)
            return None
        registered = datetime.fromtimestamp(found.creation_timestamp / 1000).astimezone()
        logger.info(
            "The champion of %s %s: version %s, registered on %s", name,
            "is what to start from" if self._absent else "answers", found.version,
            registered.strftime("%Y-%m-%d %H:%M"),
        )  # fmt: skip
        return tracking.load_registered(f"models:/{name}/{found.version}", self._kind)

    def _load_fastai(self, file: SourceFile) -> "Bundle":
        from gradual.text.fastai_weights import fastai_language_model

        path = file.path()
        assert path is not None  # _fastai_file names one
        bundle = fastai_language_model(path, backwards=self._backwards)
        if self._kind not in (None, bundle.kind):
            raise DatasetError(
                f"{self._shown} is a {bundle.kind}, where a {self._kind} is needed: name another"
            )
        return replace(bundle, origin=str(self._shown))

    @property
    def _shown(self) -> Any:
        """The address, without what may be secret in a URL."""
        if self._fastai is not None:
            described = self._fastai.describe()
            return f"{FASTAI}{described['url'] or described['filepath']}"
        return None if self._absent else self._registered or self._filepath

    def _exists(self) -> bool:
        # Whether a registered model is there its registry says when it is loaded.
        if self._fastai is not None:
            return self._fastai.exists()
        if self._absent or self._registered is not None or super()._exists():
            return True
        return self._champion is not None and bool(tracking.find_version(self._champion))

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "filepath": self._shown, "kind": self._kind}

    def preview(self) -> JSONPreview:
        """Kind, configuration, size and dependencies of the model for kedro-viz.

        Nothing is downloaded for it.
        """
        if self._champion is not None:
            return JSONPreview(json.dumps({"champion": self._champion}))
        if self._fastai is not None and not self._exists():
            return JSONPreview(json.dumps({"filepath": self._shown, "model": "not fetched yet"}))
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


class FirstBundleDataset(AbstractDataset[None, "Bundle | None"]):
    """The first of several models that is there: what a training starts from, as it can be had.

    Read only. Which one it was is said in the log.

    Examples:
        ```yaml
        imdb.pretrained:
          type: gradual.io.FirstBundleDataset
          filepaths: [models:/reviews_language_model@champion, models/mine.safetensors, null]
          kind: language_model
        ```
    """

    def __init__(
        self,
        *,
        filepaths: list[str | None],
        kind: str | None = None,
        backwards: bool = False,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Say where the models may be.

        Args:
            filepaths: As `filepath` of a `BundleDataset`, the best first; a last one of None loads
                as None where no other is there.
            kind: As there.
            backwards: As there.
            metadata: Ignored here; read by plugins such as kedro-viz.
        """
        if not filepaths:
            raise DatasetError("filepaths is empty: name at least one model, or null")
        self._filepaths = filepaths
        self._datasets = [
            BundleDataset(filepath=each, kind=kind, backwards=backwards) for each in filepaths
        ]
        self.metadata = metadata

    def load(self) -> "Bundle | None":
        """Read the first model that is there.

        Raises:
            DatasetError: The last one is not there either, or the one found cannot be used.
        """
        from gradual.training.bundle import NotRegisteredError

        *others, last = zip(self._filepaths, self._datasets, strict=True)
        for name, dataset in others:
            if dataset.exists():
                try:
                    return dataset.load()
                except DatasetError as error:  # what Kedro makes of any
                    if not isinstance(error.__cause__, NotRegisteredError):
                        raise
            logger.info("%s is not there: the next is %s", name, self._after(name))
        return last[1].load()

    def _after(self, name: str | None) -> str:
        following = self._filepaths[self._filepaths.index(name) + 1]
        return "none: random weights" if following is None else following

    def save(self, data: None) -> None:  # noqa: ARG002
        """Refused: the model is another's.

        Raises:
            DatasetError: Always.
        """
        raise DatasetError(f"{self._filepaths} are models that pipelines read and never write")

    def _exists(self) -> bool:
        return any(dataset.exists() for dataset in self._datasets)

    def _describe(self) -> dict[str, Any]:
        return {"filepaths": self._filepaths}


def _fastai_file(address: str) -> SourceFile:
    """What an address `fastai:<path or URL>[#sha256=…]` names."""
    place, _, sha256 = address.removeprefix(FASTAI).partition("#sha256=")
    if not place:
        raise DatasetError(
            f"{address} names no file: write {FASTAI}<path or URL>, for example "
            f"{FASTAI}https://s3.amazonaws.com/fast-ai-modelzoo/wt103-fwd.tgz"
        )
    if "://" in place:
        return SourceFile(url=place, sha256=sha256 or None)
    return SourceFile(filepath=Path(place).expanduser(), sha256=sha256 or None)
