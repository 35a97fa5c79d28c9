"""gradual: text, tables and ratings to trained, tracked, retrainable models."""

import os

__version__ = "0.1.0"

# How often OpenMP's threads look for work before they sleep. Its default is a thousand times more:
# as fast on idle cores, but as soon as anything else wants one it slows small models down thirtyfold
# (docs/benchmarks.md). OpenMP reads this once, when torch is first imported.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
