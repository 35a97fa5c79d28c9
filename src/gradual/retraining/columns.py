"""What a column of raw rows is, to what looks at rows before any model does."""

from typing import Literal

ColumnKind = Literal["number", "level", "text", "date", "user", "item", "target", "weight"]
"""`user` and `item` are ids of ratings; `target` is what is learned, a number or a level."""
