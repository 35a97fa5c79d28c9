"""gradual: text, tables and ratings to trained, tracked, retrainable models."""

import os

__version__ = "0.1.0"

# Threads that wait for each other in a busy loop slow training down twentyfold as soon as anything
# else wants a core; asleep they cost little. OpenMP reads this once, when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
