"""Emulation: the firmware image itself, on an emulated CPU."""
