"""What is wrong with the rows of a source."""

from typing import TypeAlias


class SourceError(ValueError):
    """Rows cannot be used; the message names file, row or column, and the remedy."""


# The names that the methods still use.
TableError: TypeAlias = SourceError
RatingsError: TypeAlias = SourceError
