"""What all tests share: the published models, where they are at hand, and genomes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Machines are shared and slow at times: no example fails for its time alone.
settings.register_profile("nca-hw", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("nca-hw")

PUBLISHED = Path(__file__).resolve().parents[2] / "shared" / "models"


@pytest.fixture(scope="session")
def published() -> Path:
    """The folder of the article's published models; tests that need it are skipped where it is absent."""
    if not PUBLISHED.is_dir():
        pytest.skip("the published models (../shared/models) are not here")
    return PUBLISHED
