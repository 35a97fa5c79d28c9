"""Log models to MLflow so that they run on raw input with no Kedro project around."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradual.training.bundle import Bundle

logger = logging.getLogger(__name__)


def log_text_classifier(
    bundle: Bundle,
    *,
    input_example: list[str],
    registered_name: str | None = None,
    alias: str | None = None,
    name: str = "classifier",
) -> str | None:
    """Log a text classifier as an MLflow model; see the module."""
    raise NotImplementedError
