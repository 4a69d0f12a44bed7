"""What a WS2812 is told by an SPI: four of its bits make one, 1000 a zero and 1100 a one."""

from __future__ import annotations

from collections.abc import Sequence


def colours(words: Sequence[int]) -> list[int]:
    """Colours, 0 to 255, that words of 16 bits tell, in the LED's order; -1 for one that is none."""
    bits = "".join(f"{word:016b}" for word in words)
    told = "".join({"1000": "0", "1100": "1"}.get(bits[i : i + 4], "?") for i in range(0, len(bits), 4))
    return [-1 if "?" in told[i : i + 8] else int(told[i : i + 8], 2) for i in range(0, len(told), 8)]
