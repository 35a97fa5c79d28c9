"""One HTML page that says how good a model is, and the blocks that it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, TypeAlias

import pandas as pd
import plotly.graph_objects as go
from plotly.io import to_html
from plotly.offline import get_plotlyjs

FIGURE = 'class="plotly-graph-div"'  # what plotly calls the element that it draws in

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 0 auto;
  max-width: 1120px; padding: 1.5rem; }
h1 { font-size: 1.7rem; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; border-bottom: 2px solid #0072B2; }
h3 { font-size: 1.05rem; margin: 1.4rem 0 .4rem; }
.headline { font-size: 1.2rem; background: #F0F6FA; border-left: 5px solid #0072B2;
  padding: .8rem 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .93rem; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem .7rem;
  border-bottom: 1px solid #DDD; }
td.number, th.number { text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
td.text { min-width: 24rem; overflow-wrap: anywhere; }
th { background: #F6F6F6; }
table.values { width: auto; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(500px, 100%), 1fr));
  gap: 1rem; }
.figures > div { min-width: 0; }
.note { color: #555; font-size: .9rem; }
td, blockquote { unicode-bidi: plaintext }  /* right to left where the text is */
blockquote { margin: .6rem 0; padding: .4rem 1rem; border-left: 4px solid #E69F00;
  background: #FDF8EE; white-space: pre-wrap; overflow-wrap: anywhere; }
"""


@dataclass(frozen=True)
class Note:
    """A paragraph in small print: how something was made."""

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
    """A table as it stands; the columns named in `numbers` are set to the right.

    A column called `text` gets room for long texts.
    """

    frame: pd.DataFrame
    numbers: Sequence[str] = ()


Block: TypeAlias = (
    str | Note | Heading | Quote | Table | Mapping[str, Any] | go.Figure | Sequence[go.Figure]
)
"""Part of a section: a paragraph, one of the above, names and values (nested or flat), a figure of
the page's whole width, or several that stand side by side where there is room."""


@dataclass(frozen=True)
class Section:
    """Part of a page: blocks in order under a title, which may be empty."""

    title: str
    blocks: Sequence[Block]


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
    parts = [f"<h1>{escape(title)}</h1>", f'<p class="headline">{escape(headline)}</p>']
    for section in sections:
        if section.title:
            parts.append(f"<h2>{escape(section.title)}</h2>")
        parts += [_block(block) for block in section.blocks]
    body = "\n".join(parts)
    script = f"<script>{get_plotlyjs()}</script>" if FIGURE in body else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n{script}\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _block(block: Block) -> str:
    """Write one part of a section."""
    if isinstance(block, str):
        return f"<p>{escape(block)}</p>"
    if isinstance(block, Note):
        return f'<p class="note">{escape(block.text)}</p>'
    if isinstance(block, Heading):
        return f"<h3>{escape(block.text)}</h3>"
    if isinstance(block, Quote):
        asked = f"<strong>{escape(block.prompt)}</strong> → " if block.prompt else ""
        return f"<blockquote>{asked}{escape(block.text)}</blockquote>"
    if isinstance(block, Table):
        return _table(block.frame, block.numbers)
    if isinstance(block, Mapping):
        return _key_values(block)
    if isinstance(block, go.Figure):
        return _figure(block)
    return _figures(block)


def _figures(figures: Sequence[go.Figure]) -> str:
    """Draw figures side by side where there is room."""
    return '<div class="figures">' + "\n".join(map(_figure, figures)) + "</div>"


def _figure(figure: go.Figure) -> str:
    """Draw a figure; plotly.js is in the page's head."""
    return str(
        to_html(
            figure,
            full_html=False,
            include_plotlyjs=False,
            default_height=f"{figure.layout.height or 440}px",
            config={"responsive": True, "displayModeBar": False},
        )
    )


def _table(frame: pd.DataFrame, numbers: Sequence[str] = (), *, values: bool = False) -> str:
    """Write a table, every cell escaped; a table of values has no heading."""

    def style(name: str) -> str:
        if name in numbers:
            return ' class="number"'
        return ' class="text"' if name == "text" else ""

    names = [str(name) for name in frame.columns]
    header = "".join(f"<th{style(name)}>{escape(name)}</th>" for name in names)
    rows = (
        "".join(
            f"<td{style(name)}>{escape(str(value))}</td>"
            for name, value in zip(names, row, strict=True)
        )
        for row in frame.itertuples(index=False, name=None)
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    if values:
        return f'<div class="scroll"><table class="values"><tbody>{body}</tbody></table></div>'
    top = f"<thead><tr>{header}</tr></thead>"
    return f'<div class="scroll"><table>{top}<tbody>{body}</tbody></table></div>'


def _key_values(values: Mapping[str, Any]) -> str:
    """Write a nested mapping as a table of dotted names and values."""
    rows = [(name.replace("_", " "), _value(name, value)) for name, value in flatten(values)]
    return _table(pd.DataFrame(rows, columns=["name", "value"]), values=True)


def flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return the leaves of a nested mapping with dotted names, in order."""
    leaves: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            leaves += flatten(value, f"{prefix}{name}.")
        else:
            leaves.append((f"{prefix}{name}", value))
    return leaves


def _value(name: str, value: Any) -> str:
    """Format one value for people."""
    if isinstance(value, (list, tuple)) and any(isinstance(entry, Mapping) for entry in value):
        return "; ".join(
            ", ".join(f"{key} {inner}" for key, inner in flatten(entry)) for entry in value
        )
    if isinstance(value, float):
        return f"{value:.2%}" if "accuracy" in name and 0 <= value <= 1 else f"{value:,.4g}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10_000:
        return f"{value:,}"
    return str(value)
