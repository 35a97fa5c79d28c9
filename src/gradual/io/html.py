"""Reports for the browser."""

import re
from pathlib import Path

from kedro_datasets._typing import HTMLPreview

from gradual.io.atomic import AtomicFileDataset

_SCRIPT = re.compile(r"<script\b.*?</script\s*>", re.DOTALL | re.IGNORECASE)


class HTMLDataset(AtomicFileDataset[str, str]):
    """A report as one HTML page, shown in kedro-viz as well.

    kedro-viz cleans a page before it shows it, so scripts (plotly's, say) do not run there.

    Examples:
        ```yaml
        imdb.report:
          type: gradual.io.HTMLDataset
          filepath: data/08_reporting/imdb/report.html
          metadata:
            kedro-viz: {layer: reporting}
        ```

        >>> dataset = HTMLDataset(filepath="report.html")
        >>> dataset.save("<h1>Report</h1>")
    """

    def _read(self, path: Path) -> str:
        return path.read_bytes().decode("utf-8")

    def _write(self, data: str, path: Path) -> None:
        if not isinstance(data, str):
            raise TypeError(f"a {type(data).__name__} is no page: give HTMLDataset a str")
        path.write_bytes(data.encode("utf-8"))

    def preview(self) -> HTMLPreview:
        """The page without its scripts: they are megabytes that kedro-viz would drop anyway."""
        return HTMLPreview(_SCRIPT.sub("", self._read(Path(self._get_load_path()))))
