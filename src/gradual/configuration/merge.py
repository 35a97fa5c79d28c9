"""How layers of parameters become one: recipe, source, environment, command line."""

from collections.abc import Mapping
from typing import Any

Parameters = Mapping[str, Any]


def merge(*layers: Parameters) -> dict[str, Any]:
    """Return the layers as one mapping, in which later ones win.

    Mappings merge key by key; lists and values are replaced. A mapping that names another `method`
    replaces the one below it, whose other keys belong to the method that is given up.

    Examples:
        >>> merge({"a": {"b": 1, "c": [1, 2]}}, {"a": {"c": [3]}})
        {'a': {'b': 1, 'c': [3]}}
        >>> merge({"method": "random", "fraction": 0.1}, {"method": "last", "column": "date"})
        {'method': 'last', 'column': 'date'}
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        if "method" in merged and layer.get("method", merged["method"]) != merged["method"]:
            merged = {}
        for key, value in layer.items():
            below = merged.get(key)
            if isinstance(value, Mapping):
                value = merge(below, value) if isinstance(below, Mapping) else merge(value)
            merged[key] = value
    return merged
