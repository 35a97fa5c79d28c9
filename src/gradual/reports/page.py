"""One HTML page that says how good a model is: sections that a method declares, one look for all.

A method's ``report.py`` holds a small function for each section, from `Material` to `Section`, and
the order in which they stand::

    SECTIONS = (scores, predictions, training)
    page = write("Tables: models side by side", SECTIONS, material)

A new section is one function and its name in that list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from gradual.reports.figures import is_drawn
from gradual.results.metrics import show


@dataclass(frozen=True)
class Note:
    """A paragraph in small print: how something was made."""

    text: str


@dataclass(frozen=True)
class Warning:
    """A paragraph that stands out: what a person should know before trusting the model."""

    text: str


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    text: str


@dataclass(frozen=True)
class Quote:
    """What a model wrote, and what it was asked."""

    text: str
    prompt: str = ""


@dataclass(frozen=True)
class Table:
    """A table; numbers are written as everywhere and set to the right.

    Attributes:
        frame: Its rows. A column called `text` gets room for long texts; a cell of
            `markupsafe.Markup` is not escaped.
        numbers: Columns of texts that are set to the right like numbers: scores with intervals.
        titles: What the columns are called on the page, by name.
    """

    frame: pd.DataFrame
    numbers: Sequence[str] = ()
    titles: Mapping[str, str] = field(default_factory=dict)


Block: TypeAlias = (
    str
    | Note
    | Warning
    | Heading
    | Quote
    | Table
    | Mapping[str, Any]
    | go.Figure
    | Sequence[go.Figure]
)
"""Part of a section: a paragraph, one of the above, names and values (nested or flat), a figure of
the page's whole width, or several that stand side by side where there is room."""


@dataclass(frozen=True)
class Section:
    """Part of a page: blocks in order under a title, which may be empty."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Material:
    """What a report is made of.

    Attributes:
        summary: ``headline``, ``notes``, ``warnings`` and whatever else is said of the result.
        scores: Result rows.
        figures: By name; those that were not drawn are there too, see `drawn`.
        tables: Further tables by name.
        settings: What was run: parameters by name, nested or flat.
    """

    summary: Mapping[str, Any]
    scores: pd.DataFrame
    figures: Mapping[str, go.Figure] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def drawn(self, *names: str) -> list[go.Figure]:
        """The figures of these names that show something, in this order."""
        return [self.figures[n] for n in names if n in self.figures and is_drawn(self.figures[n])]


def write(
    title: str, sections: Sequence[Callable[[Material], Section | None]], material: Material
) -> str:
    """Write the page of a method.

    Args:
        title: Heading of the page; the source that the scores name comes before it.
        sections: Functions of the material, in the order in which their sections stand; one that
            returns None is left out.
        material: What the report is made of; its summary has a ``headline``.

    Returns:
        The HTML; see `html_page`.
    """
    source = next(iter(material.scores.get("source", ())), "")
    title = f"{source} · {title}" if source else title
    made = [section(material) for section in sections]
    return html_page(title, material.summary["headline"], [one for one in made if one is not None])


def html_page(title: str, headline: str, sections: Sequence[Section]) -> str:
    """Write a page that needs no other file and no network.

    Args:
        title: Heading of the page.
        headline: The result in a sentence or two, set off at the top.
        sections: What follows, in order.

    Returns:
        The HTML. Everything that came from data is escaped; plotly.js is in it once, if there is a
        figure.
    """
    shown: list[dict[str, Any]] = [
        {"title": section.title, "blocks": [_block(block) for block in section.blocks]}
        for section in sections
    ]
    has_figure = any(
        block["kind"] in ("figure", "figures") for section in shown for block in section["blocks"]
    )
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=title,
            headline=_unbroken(headline),
            sections=shown,
            style=Markup(files("gradual.reports").joinpath("templates/style.css").read_text()),
            plotly=Markup(get_plotlyjs()) if has_figure else "",
            zip=zip,
        )
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("gradual.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )


def _block(block: Block) -> dict[str, Any]:
    """One part of a section as the template takes it."""
    if isinstance(block, str):
        return {"kind": "paragraph", "text": block}
    if isinstance(block, Note | Warning | Heading):
        return {"kind": type(block).__name__.lower(), "text": block.text}
    if isinstance(block, Quote):
        return {"kind": "quote", "text": block.text, "prompt": block.prompt}
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Mapping):
        rows = [(name, _value(value)) for name, value in flatten(block)]
        return {"kind": "table", "columns": [("", ""), ("", "")], "rows": rows, "heading": False}
    if isinstance(block, go.Figure):
        return {"kind": "figure", "html": _figure(block)}
    return {"kind": "figures", "figures": [_figure(figure) for figure in block]}


def _figure(figure: go.Figure) -> Markup:
    """Draw a figure; plotly.js is in the page's head."""
    return Markup(
        to_html(
            figure,
            full_html=False,
            include_plotlyjs=False,
            default_height=f"{figure.layout.height or 440}px",
            config={"responsive": True, "displayModeBar": False},
        )
    )


def _table(table: Table) -> dict[str, Any]:
    frame = table.frame
    numeric = {
        str(name)
        for name in frame.columns
        if pd.api.types.is_numeric_dtype(frame[name]) and frame[name].dtype != bool
    }
    right = numeric | {str(name) for name in table.numbers}

    def style(name: str) -> str:
        return "number" if name in right else "text" if name == "text" else ""

    names = [str(name) for name in frame.columns]
    return {
        "kind": "table",
        "columns": [(table.titles.get(name, name), style(name)) for name in names],
        "rows": [
            [_cell(value) for value in row] for row in frame.itertuples(index=False, name=None)
        ],
        "heading": True,
    }


def _cell(value: Any) -> str:
    if value is None or value is pd.NA or value is pd.NaT:
        return "–"
    if isinstance(value, float):
        return show(value)
    return value if isinstance(value, Markup) else _unbroken(str(value))


def _unbroken(text: str) -> str:
    """Keep a value and its unit on one line, and an interval, which may go below its score."""
    return re.sub(
        r"\d (%|s\b)|\[[-+\d., %]+\]", lambda found: found[0].replace(" ", "\u00a0"), text
    )


def flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return the leaves of a nested mapping with dotted names, in order."""
    leaves: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            leaves += flatten(value, f"{prefix}{name}.")
        else:
            leaves.append((f"{prefix}{name}", value))
    return leaves


def _value(value: Any) -> str:
    """Write one setting as configuration has it."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, (list, tuple)) and any(isinstance(entry, Mapping) for entry in value):
        return "; ".join(
            ", ".join(f"{key} {_value(inner)}" for key, inner in flatten(entry)) for entry in value
        )
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, int) and abs(value) >= 10_000:
        return f"{value:,}"
    return str(value)
