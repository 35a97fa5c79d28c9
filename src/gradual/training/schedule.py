"""Learning rate and momentum as functions of the progress of a phase."""

import math

from gradual.training.config import Phase


def schedule_at(phase: Phase, progress: float) -> tuple[float, float]:
    """Return the rate and the momentum at a point of a phase.

    Momentum moves against the rate: ``phase.momentum[0]`` where the rate is low,
    ``phase.momentum[1]`` at the top.

    Args:
        phase: names the schedule and its settings.
        progress: part of the phase that is done, in [0, 1].

    Returns:
        The factor on the top learning rate, in (0, 1], and the momentum (beta1).
    """
    if phase.schedule == "one_cycle":
        return one_cycle(phase, progress)
    if phase.schedule == "cosine_restarts":
        return cosine_restarts(phase, progress)
    return slanted_triangular(phase, progress)


def one_cycle(phase: Phase, progress: float) -> tuple[float, float]:
    """Rise from 1/start_div to 1 over the warm-up, fall to 1/end_div, both along a cosine.

    Smith 2018, "A disciplined approach to neural network hyper-parameters", arXiv 1803.09820,
    with cosines in place of its straight lines.
    """
    low, high = phase.momentum
    if progress < phase.warmup:
        part = progress / phase.warmup
        return _cosine(1 / phase.start_div, 1.0, part), _cosine(low, high, part)
    part = (progress - phase.warmup) / (1 - phase.warmup)
    return _cosine(1.0, 1 / phase.end_div, part), _cosine(high, low, part)


def cosine_restarts(phase: Phase, progress: float) -> tuple[float, float]:
    """Fall from 1 to 1/end_div along a cosine in each of ``cycles`` equally long cycles.

    Loshchilov & Hutter 2017, "SGDR", arXiv 1608.03983, equation 5.
    """
    low, high = phase.momentum
    cycle = min(int(progress * phase.cycles), phase.cycles - 1)
    part = progress * phase.cycles - cycle
    return _cosine(1.0, 1 / phase.end_div, part), _cosine(high, low, part)


def slanted_triangular(phase: Phase, progress: float) -> tuple[float, float]:
    """Rise in a straight line from 1/start_div to 1 over the warm-up, fall back in another.

    Howard & Ruder 2018, arXiv 1801.06146, equation 3, with cut_frac = ``warmup`` and
    ratio = ``start_div`` (the paper: 0.1 and 32).
    """
    low, high = phase.momentum
    if progress < phase.warmup:
        part = progress / phase.warmup
    else:
        part = 1 - (progress - phase.warmup) / (1 - phase.warmup)
    ratio = phase.start_div
    return (1 + part * (ratio - 1)) / ratio, low + (high - low) * part


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2
