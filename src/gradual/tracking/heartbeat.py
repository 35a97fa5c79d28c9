"""A sign of life of each run, by which another machine can tell that it was killed."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

TAG = "process.heartbeat"
BEAT = 60.0
"""Seconds between two signs."""
DEAD_AFTER = 600.0
"""Seconds without one after which a run counts as killed; machines' clocks may differ by less."""


class Heartbeat:
    """Tags a run with the time, in seconds since 1970, again and again until it is ended.

    A tracking server that does not answer for a while does no harm: the run goes on, and ends as
    what it is.

    Args:
        client: Of the tracking server.
        run_id: The run.
        seconds: From one sign to the next.
    """

    def __init__(self, client: MlflowClient, run_id: str, seconds: float = BEAT) -> None:
        self._client, self._run_id, self._seconds = client, run_id, seconds
        self._ended = threading.Event()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def end(self) -> None:
        """Give no more signs."""
        self._ended.set()

    def _beat(self) -> None:
        while True:
            try:
                self._client.set_tag(self._run_id, TAG, f"{time.time():.0f}")
            except Exception as error:  # whatever a server or its network may do
                logger.debug("No heartbeat: %s", type(error).__name__)
            if self._ended.wait(self._seconds):
                return


def is_dead(heartbeat: str | None) -> bool:
    """Whether a run with this tag gives no more signs; not for a run that has never given one."""
    return heartbeat is not None and float(heartbeat) < time.time() - DEAD_AFTER
