"""Chaskey-12, the message authentication code of spreading genomes; an independent reading of the paper, against which the C is held.

Source: N. Mouha and others, Chaskey: An Efficient MAC Algorithm for 32-bit Microcontrollers (SAC 2014), figures 1 and 2; 12 rounds instead
of 8 as of N. Mouha, Chaskey: a MAC Algorithm for Microcontrollers, Status Update and Proposal of Chaskey-12 (2015).
"""

from __future__ import annotations

import struct

BLOCK = 16
ROUNDS = 12
WORD = 0xFFFFFFFF


def tag(key: bytes, message: bytes, rounds: int = ROUNDS) -> bytes:
    """The tag of a message, 16 bytes.

    Args:
        key: 16 bytes.
    """
    first = int.from_bytes(key, "little")
    whole = len(message) > 0 and len(message) % BLOCK == 0
    last = _doubled(first) if whole else _doubled(_doubled(first))
    if not whole:
        message += b"\x01" + bytes(-(len(message) + 1) % BLOCK)
    state = first
    blocks = [int.from_bytes(message[at : at + BLOCK], "little") for at in range(0, len(message), BLOCK)]
    for block in blocks[:-1]:
        state = _permuted(state ^ block, rounds)
    return (_permuted(state ^ blocks[-1] ^ last, rounds) ^ last).to_bytes(BLOCK, "little")


def _doubled(x: int) -> int:
    """Times x in GF(2^128) with x^128 = x^7 + x^2 + x + 1."""
    doubled = x << 1
    return doubled if x >> 127 == 0 else doubled ^ (1 << 128) ^ 0x87


def _turned(x: int, by: int) -> int:
    return (x << by | x >> (32 - by)) & WORD


def _permuted(state: int, rounds: int) -> int:
    a, b, c, d = struct.unpack("<4I", state.to_bytes(BLOCK, "little"))
    for _ in range(rounds):
        a = (a + b) & WORD
        b = _turned(b, 5) ^ a
        a = _turned(a, 16)
        c = (c + d) & WORD
        d = _turned(d, 8) ^ c
        a = (a + d) & WORD
        d = _turned(d, 13) ^ a
        c = (c + b) & WORD
        b = _turned(b, 7) ^ c
        c = _turned(c, 16)
    return int.from_bytes(struct.pack("<4I", a, b, c, d), "little")
