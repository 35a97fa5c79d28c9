"""What all groups of parameters have in common."""


class Settings:
    """Base of a frozen dataclass that `conf/` gives the values of.

    Whoever validates one with pydantic, which this package does not import, is refused a key that
    is no setting.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - pydantic looks for exactly this
