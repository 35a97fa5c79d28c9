"""A trained model as one safetensors file that holds all that is needed to use it."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from gradual.training.files import canonical_json, fingerprint
from gradual.training.sealed import DamagedFileError, content_hash, read_sealed, write_sealed

FORMAT_VERSION = 1
_MADE_FROM = "made_from"

logger = logging.getLogger(__name__)


class BundleError(ValueError):
    """A bundle cannot be used; the message names the file, what is wrong and the remedy."""


class NotRegisteredError(BundleError):
    """There is no such model in the registry; the message lists those there are."""


@dataclass(frozen=True)
class Bundle:
    """A model's weights with everything needed to rebuild and apply it.

    Attributes:
        kind: what it is, e.g. ``"language_model"``.
        config: JSON-able; all that is needed to rebuild the module.
        state: CPU tensors by name, no two sharing memory.
        metadata: JSON-able; vocabulary, labels, tokenizer, fitted statistics.
        dependencies: name to hash of what it was made from.
        origin: where it was read from, for messages; no part of the model or of its hash.
    """

    kind: str
    config: dict[str, Any]
    state: dict[str, torch.Tensor]
    metadata: dict[str, Any]
    dependencies: dict[str, str]
    origin: str = field(default="", compare=False)

    @property
    def hash(self) -> str:
        """SHA-256 over kind, configuration, weights, metadata and dependencies (hexadecimal).

        The metadata's `settings`, how a model answers unless a caller says otherwise, do not count:
        what was made from it stays valid when they change.
        """
        learned = {name: value for name, value in self.metadata.items() if name != "settings"}
        return content_hash(self.state, _text(replace(self, metadata=learned)))


def save_bundle(bundle: Bundle, path: Path) -> None:
    """Write a bundle atomically; the same bundle gives the same bytes.

    Raises:
        BundleError: something in it is not JSON-able, or two tensors share memory.
        OSError: the file cannot be written; an earlier one stays as it was.
    """
    try:
        write_sealed(Path(path), bundle.state, _text(bundle))
    except (TypeError, ValueError) as error:
        raise BundleError(f"{path}: the {bundle.kind} bundle cannot be saved: {error}") from error


def load_bundle(path: Path, kind: str | None = None) -> Bundle:
    """Read a bundle and verify its content.

    Args:
        path: a file written by `save_bundle`.
        kind: what it must be; None accepts any kind.

    Raises:
        BundleError: no such file, a damaged one, another format version, or another kind.
    """
    path = Path(path)
    try:
        state, text = read_sealed(path)
    except FileNotFoundError as error:
        raise BundleError(
            f"{path}: no such bundle; run the pipeline that makes it, or correct the path."
        ) from error
    except DamagedFileError as error:
        raise BundleError(f"{error} Delete it and make it again, or fetch it again.") from error
    content = json.loads(text)
    if content.get("format") != FORMAT_VERSION:
        raise BundleError(
            f"{path}: format version {content.get('format')!r}, this program reads "
            f"{FORMAT_VERSION}; make the bundle again with this version."
        )
    if kind is not None and content["kind"] != kind:
        raise BundleError(
            f"{path}: holds a {content['kind']!r} bundle where a {kind!r} bundle is needed; "
            "correct the path in the catalog or the parameters."
        )
    return Bundle(
        kind=content["kind"],
        config=content["config"],
        state=state,
        metadata=content["metadata"],
        dependencies=content["dependencies"],
        origin=str(path),
    )


class BundleStore:
    """A folder of bundles, each kept as long as nothing that it was made from has changed.

    Args:
        path: the folder; it need not exist before the first bundle is kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"BundleStore({str(self.path)!r})"

    def kept(self, name: str, made_from: Any, make: Callable[[], Bundle]) -> Bundle:
        """Return the bundle of this name if it was made from the same, or make and keep it.

        Args:
            name: of the file, without its suffix; another bundle of that name is replaced.
            made_from: all that the bundle depends on, the versions of the libraries that fit it
                included: what `gradual.training.files.to_json_types` takes.
            make: makes the bundle.

        Returns:
            The bundle; its ``dependencies`` hold the fingerprint of `made_from`.
        """
        path, wanted = self.path / f"{name}.safetensors", fingerprint(made_from)
        if path.exists():
            try:
                found = load_bundle(path)
            except BundleError as error:
                logger.warning("%s is made anew: %s", name, error)
            else:
                if found.dependencies.get(_MADE_FROM) == wanted:
                    logger.info("%s: nothing has changed, loaded from %s", name, path)
                    return found
        made = make()
        made = replace(made, dependencies={**made.dependencies, _MADE_FROM: wanted})
        save_bundle(made, path)
        return made


def _text(bundle: Bundle) -> str:
    return canonical_json(
        {
            "format": FORMAT_VERSION,
            "kind": bundle.kind,
            "config": bundle.config,
            "metadata": bundle.metadata,
            "dependencies": bundle.dependencies,
        }
    )
