"""The compiled part of the package; everything else is in pyproject.toml."""

from setuptools import setup

setup(cffi_modules=["nca_hw/core/ccore_build.py:ffibuilder", "nca_hw/train/rollout_build.py:ffibuilder"])
