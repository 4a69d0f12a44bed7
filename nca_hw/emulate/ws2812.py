"""What a WS2812 is told by an SPI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

FOUR_BITS = {"1000": "0", "1100": "1"}  # at 3 MHz: 333 ns high is a zero, 667 a one


def colours(words: Sequence[int], word_bits: int = 16, symbols: Mapping[str, str] = FOUR_BITS) -> list[int]:
    """Colours, 0 to 255, that words tell, in the LED's order; -1 for one that is none.

    Args:
        word_bits: of the SPI's words. symbols: bits on the line, all as many, that the LED takes for a zero and for a one.
    """
    size = len(next(iter(symbols)))
    bits = "".join(f"{word:0{word_bits}b}" for word in words)
    told = "".join(symbols.get(bits[i : i + size], "?") for i in range(0, len(bits), size))
    return [-1 if "?" in told[i : i + 8] else int(told[i : i + 8], 2) for i in range(0, len(told), 8)]
