"""What is wrong with the rows of a source."""


class SourceError(ValueError):
    """Rows cannot be used; the message names file, row or column, and the remedy."""
