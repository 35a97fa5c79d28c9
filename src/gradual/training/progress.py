"""Live progress: a bar on a terminal, few and readable lines in a log file."""

import logging
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tqdm

logger = logging.getLogger(__name__)

_LOG_SECONDS = 30.0  # between two lines of a log


class Progress:
    """Shows loss, metric, rate and time left of one training stage.

    Args:
        name: of the stage.
        total: steps of the whole stage.
        done: steps that were done before.
    """

    def __init__(self, name: str, total: int, done: int) -> None:
        self._name, self._total, self._done, self._first = name, total, done, done
        self._begin = self._logged = time.monotonic()
        self._bar: tqdm.tqdm | None = None
        if sys.stderr.isatty():
            from tqdm import tqdm as bar  # so that a machine without it can train too

            self._bar = bar(total=total, initial=done, desc=name, unit="step", leave=False)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, where: str, done: int, figures: dict[str, float]) -> None:
        """Show the state after ``done`` steps of the stage.

        Args:
            where: phase and epoch in words.
            done: steps of the stage that are done.
            figures: loss, rate, last metric.
        """
        steps, self._done = done - self._done, done
        if self._bar is not None:
            self._bar.set_description(f"{self._name}: {where}", refresh=False)
            self._bar.set_postfix_str(_words(figures), refresh=False)
            self._bar.update(steps)
            return
        now = time.monotonic()
        if now - self._logged >= _LOG_SECONDS:
            self._logged = now
            pace = (now - self._begin) / max(done - self._first, 1)
            logger.info(
                "%s: %s, step %d of %d, %s, %s left",
                self._name,
                where,
                done,
                self._total,
                _words(figures),
                duration(pace * (self._total - done)),
            )

    def epoch(self, where: str, figures: dict[str, float]) -> None:
        """Log an epoch's figures in one line."""
        if self._bar is not None:
            self._bar.clear()
        self._logged = time.monotonic()
        logger.info("%s: %s done, %s", self._name, where, _words(figures))
        if self._bar is not None:
            self._bar.refresh()


def duration(seconds: float) -> str:
    """Return seconds in words of two parts at most, e.g. ``2 h 05 min``, ``3 min 20 s``."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    if whole >= 60:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"


def _words(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
