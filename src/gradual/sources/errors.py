"""What is wrong with the rows of a source."""


class TableError(ValueError):
    """A table cannot be used; the message names the column, the row and the remedy."""
