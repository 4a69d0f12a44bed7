"""The command line: words in, words out. Every command is a thin layer over one library function."""

from nca_hw.cli.app import main

__all__ = ["main"]
