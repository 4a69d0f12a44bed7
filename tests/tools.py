"""What a test does without a program that it needs: it is skipped by name, or fails where all of them must be there."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

REQUIRED = "NCA_HW_TOOLS"  # "required" where compilers, emulators and checkers were installed for the tests: .ci/run


def missing(what: str) -> NoReturn:
    """Say what is not here."""
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(f"{what}, and {REQUIRED} says that it must be here", pytrace=False)
    pytest.skip(what)
