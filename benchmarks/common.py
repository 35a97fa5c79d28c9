"""What several benchmarks write into their results: the machine, and intervals over seeds."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import t


def machine() -> str:
    """Processor, cores and memory."""
    processor = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{len(os.sched_getaffinity(0))} cores of {processor}, {gigabytes:.0f} GB of memory"


def half_width(values: Sequence[float], confidence: float = 0.95) -> float:
    """Half of the interval of a mean by Student's t; the values are one a seed."""
    quantile = t.ppf((1 + confidence) / 2, len(values) - 1)
    return float(quantile * np.std(values, ddof=1) / len(values) ** 0.5)
