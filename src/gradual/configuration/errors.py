"""Configuration errors, written for whoever writes the configuration."""

import difflib
from collections.abc import Iterable


class ConfigurationError(ValueError):
    """Something in `conf/` or `--params` cannot be used; the message says what to write."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a sentence that names what `name` may have been meant to be.

    Examples:
        >>> nearest("classifer", ["classifier", "vocabulary"])
        ' Did you mean `classifier`?'
        >>> nearest("x", ["classifier"])
        ''
    """
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(f'`{each}`' for each in close)}?" if close else ""
