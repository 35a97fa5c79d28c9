import io
import logging
import sys

import pytest

from gradual.training import progress
from gradual.training.progress import Progress, duration


class Clock:
    now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_a_log_gets_one_line_in_thirty_seconds_and_one_an_epoch(caplog, clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    caplog.set_level(logging.INFO)
    with Progress("toy", total=1000, done=100) as bar:
        for second in range(100):
            clock.now = float(second)
            bar.show("epoch 1/1", 100 + 5 * second, {"loss": 0.51234, "lr": 1e-3})
        bar.epoch("epoch 1/1", {"loss": 0.5})
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 4
    # 150 steps in 30 seconds, so 750 in 150.
    assert lines[0] == ("toy: epoch 1/1, step 250 of 1000, loss 0.5123, lr 0.001, 2 min 30 s left")
    assert lines[-1] == "toy: epoch 1/1 done, loss 0.5"
    assert sys.stderr.getvalue() == ""


def test_a_terminal_gets_a_bar_and_no_lines(caplog, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    caplog.set_level(logging.INFO)
    with Progress("toy", total=10, done=0) as bar:
        bar._bar.mininterval = 0
        bar.show("phase 1/2", 5, {"loss": 0.5, "lr": 1e-3})
        bar._bar.refresh()
    shown = sys.stderr.getvalue()
    assert "toy: phase 1/2" in shown
    assert "5/10" in shown
    assert "loss 0.5, lr 0.001" in shown
    assert not caplog.records


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.42, "0.4 s"),
        (42, "42 s"),
        (60, "1 min 00 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations_in_words(seconds, words):
    assert duration(seconds) == words
