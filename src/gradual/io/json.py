"""Small structured results in JSON."""

import dataclasses
import datetime
import json
import math
import os
from collections.abc import Mapping, Set
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from kedro.io.core import Version
from kedro_datasets._typing import JSONPreview
from pydantic import BaseModel

from gradual.io.atomic import AtomicFileDataset


class JSONDataset(AtomicFileDataset[Any, Any]):
    """Metrics, reports and other small structures as indented JSON (UTF-8).

    Dataclasses, pydantic models, mappings, sequences, sets (sorted), numpy scalars and arrays,
    paths and dates may be saved; dicts, lists, strings and numbers come back. A number that
    is not finite becomes null, since JSON has no word for it.

    Examples:
        ```yaml
        imdb.metrics:
          type: gradual.io.JSONDataset
          filepath: data/08_reporting/imdb/metrics.json
          metadata:
            kedro-viz: {layer: reporting}
        ```

        >>> dataset = JSONDataset(filepath="metrics.json")
        >>> dataset.save({"accuracy": np.float32(0.5)})
        >>> dataset.load()
        {'accuracy': 0.5}
    """

    def __init__(
        self,
        *,
        filepath: str | os.PathLike[str],
        optional: bool = False,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """As `AtomicFileDataset`.

        Args:
            filepath: The local file.
            optional: Whether a file that is not there loads as None, and counts as there.
            version: Set by Kedro where the catalog says `versioned: true`.
            metadata: Ignored here; read by plugins such as kedro-viz.
        """
        super().__init__(filepath=filepath, version=version, metadata=metadata)
        self._optional = optional

    def load(self) -> Any:
        """Read the file; None where it may be missing and is."""
        return None if self._optional and not super()._exists() else super().load()

    def _exists(self) -> bool:
        return self._optional or super()._exists()

    def _read(self, path: Path) -> Any:
        return json.loads(path.read_text(encoding="utf-8"))

    def _write(self, data: Any, path: Path) -> None:
        text = json.dumps(_json(data, "$"), indent=2, ensure_ascii=False, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")

    def preview(self) -> JSONPreview:
        """The whole content for kedro-viz."""
        return JSONPreview(Path(self._get_load_path()).read_text(encoding="utf-8"))


def _json(value: Any, where: str) -> Any:
    """`value` in JSON's own types; `where` is its JSON path, for the error."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {f.name: _json(getattr(value, f.name), f"{where}.{f.name}") for f in fields}
    if isinstance(value, BaseModel):
        return _json(value.model_dump(), where)
    if isinstance(value, Mapping):
        return {str(key): _json(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, Set):
        value = sorted(value)
    if isinstance(value, list | tuple):
        return [_json(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    raise TypeError(
        f"{where} is a {type(value).__name__}, which JSON cannot hold: save numbers, strings, "
        "lists, mappings, dataclasses or pydantic models"
    )
