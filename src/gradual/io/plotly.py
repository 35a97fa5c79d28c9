"""Figures."""

import json
from pathlib import Path

import plotly.io
from kedro_datasets._typing import PlotlyPreview
from plotly import graph_objects as go

from gradual.io.atomic import AtomicFileDataset


class PlotlyDataset(AtomicFileDataset[go.Figure, go.Figure]):
    """A plotly figure as JSON, interactive in kedro-viz.

    Examples:
        ```yaml
        imdb.confusion_matrix:
          type: gradual.io.PlotlyDataset
          filepath: data/08_reporting/imdb/confusion_matrix.json
          metadata:
            kedro-viz: {layer: reporting}
        ```

        >>> dataset = PlotlyDataset(filepath="losses.json")
        >>> dataset.save(go.Figure(go.Scatter(y=[4.1, 3.2])))
    """

    def _read(self, path: Path) -> go.Figure:
        return plotly.io.from_json(path.read_text(encoding="utf-8"))

    def _write(self, data: go.Figure, path: Path) -> None:
        if not isinstance(data, go.Figure):
            raise TypeError(
                f"a {type(data).__name__} is no figure: give PlotlyDataset a "
                "plotly.graph_objects.Figure"
            )
        path.write_text(data.to_json(), encoding="utf-8")

    def preview(self) -> PlotlyPreview:
        """The figure's JSON for kedro-viz."""
        return PlotlyPreview(json.loads(Path(self._get_load_path()).read_text(encoding="utf-8")))
