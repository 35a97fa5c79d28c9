"""gradual: text, tables and ratings to trained, tracked, retrainable models."""

import os

__version__ = "0.1.0"

# How often OpenMP's threads look for work before they sleep. By default it is 300 times as often:
# hardly faster on idle cores, but many times slower as soon as anything else wants one of them
# (docs/benchmarks.md). OpenMP reads this once, when torch is first imported.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
