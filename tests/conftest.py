import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's root folder."""
    return PROJECT


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder of real archives; tests that need it skip where there is none."""
    folder = Path(os.environ.get("GRADUAL_MIRROR", PROJECT.parent / "shared" / "mirror"))
    if not folder.is_dir():
        pytest.skip("needs the mirror of real archives: set GRADUAL_MIRROR")
    return folder.resolve()
