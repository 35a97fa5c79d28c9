"""What became of every retrain of a source: a folder of one JSON file each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.training.files import atomic_path

STARTED, FINISHED = "started", "finished"


class History:
    """A folder with the record of every retrain, the oldest first.

    A record is a mapping that JSON can hold, with `started`, a time in ISO 8601 with its zone. One
    of a run that came to its end, whatever that was, has `finished`, a time likewise. Nothing else
    is asked of it here.

    Args:
        path: The folder; it need not exist before the first record.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"History({str(self.path)!r})"

    def append(self, record: Mapping[str, Any]) -> Path:
        """Write a record, whole or not at all; one that began at the same time is replaced.

        Returns:
            Its file, named by when it began.

        Raises:
            ValueError: `started` is missing or no time with a zone, or a number is not finite.
            TypeError: JSON cannot hold it.
        """
        began = _time(record, STARTED)
        text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
        path = self.path / f"{re.sub('[:.]', '-', began.isoformat())}.json"
        with atomic_path(path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
        return path

    def records(self) -> list[dict[str, Any]]:
        """All records by the time they began, the oldest first.

        Raises:
            ValueError: A file is no record; the message names it.
        """
        found = []
        for path in self.path.glob("[0-9]*.json"):  # not the temporary folders, which begin with .
            try:
                record = json.loads(path.read_text(encoding="utf-8"))
                found.append((_time(record, STARTED), record))
            except (ValueError, TypeError) as error:
                raise ValueError(
                    f"{path} is no record of a retrain ({error}): restore it, or move it away"
                ) from error
        return [record for _, record in sorted(found, key=lambda each: each[0])]

    def last(self, **wanted: Any) -> dict[str, Any] | None:
        """The latest record of a run that came to its end; None if there is none.

        Args:
            wanted: Values that the record must have, such as ``decision="promoted"``.
        """
        finished = (one for one in reversed(self.records()) if one.get(FINISHED) is not None)
        return next((r for r in finished if all(r.get(k) == v for k, v in wanted.items())), None)

    def frame(self) -> pd.DataFrame:
        """All records as a table, a row each; nested values under dotted names, lists as they are.

        `started` and `finished` are times in UTC.
        """
        frame = pd.json_normalize(self.records())
        for name in (STARTED, FINISHED):
            given = frame[name] if name in frame else pd.Series(dtype="str")
            frame[name] = pd.to_datetime(given, utc=True, format="ISO8601")
        return frame


def _time(record: Mapping[str, Any], name: str) -> datetime:
    time = datetime.fromisoformat(record[name]) if name in record else None
    if time is None or time.tzinfo is None:
        raise ValueError(
            f"{name} is {record.get(name)!r}: give a time with its zone, as "
            "datetime.now(UTC).isoformat() writes it"
        )
    return time
