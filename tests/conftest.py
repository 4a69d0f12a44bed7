"""What all tests share: the published models and measured clocks, where they are at hand."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tools import missing

from nca_hw.emulate import engine_build
from nca_hw.errors import ToolMissing

# Machines are shared and slow at times: no example fails for its time alone.
settings.register_profile("nca-hw", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("nca-hw")

# A shell starts what runs in its background deaf to Ctrl-C, and who is started is deaf, too; tests press it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def published() -> Path:
    """The folder of the article's published models; tests that need it are skipped where it is absent."""
    return _shared("models", "the published models")


@pytest.fixture(scope="session")
def measured() -> Path:
    """The folder of measured clocks; tests that need it are skipped where it is absent."""
    return _shared("clocks", "the measured clocks")


@pytest.fixture(scope="session")
def engine() -> None:
    """Tests of emulated AVR chips are skipped where libsimavr or the compiler for AVR is missing."""
    if shutil.which("avr-gcc") is None:
        missing("avr-gcc is not installed")
    try:
        engine_build.compiled()
    except ToolMissing as error:
        missing(error.what)


def _shared(folder: str, what: str) -> Path:
    if not (SHARED / folder).is_dir():
        pytest.skip(f"{what} (../shared/{folder}) are not here")
    return SHARED / folder
