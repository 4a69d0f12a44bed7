"""setuptools' build backend, which asks for ziglang's C compiler only on machines that have none."""

from __future__ import annotations

import os
import shutil
import sys

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403  (the hooks that stay as they are)

ZIGLANG = "ziglang==0.17.1"


def _system_compiler() -> bool:
    return "CC" in os.environ or any(shutil.which(name) for name in ("cc", "gcc", "clang"))


def _compiler_requirement() -> list[str]:
    return [] if _system_compiler() else [ZIGLANG]


def _choose_compiler() -> None:
    if not _system_compiler():
        zig = f"{sys.executable} -m ziglang cc"
        os.environ["CC"] = zig
        os.environ["LDSHARED"] = f"{zig} -shared"


def get_requires_for_build_wheel(config_settings=None):
    return build_meta.get_requires_for_build_wheel(config_settings) + _compiler_requirement()


def get_requires_for_build_editable(config_settings=None):
    return build_meta.get_requires_for_build_editable(config_settings) + _compiler_requirement()


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    _choose_compiler()
    return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    _choose_compiler()
    return build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
