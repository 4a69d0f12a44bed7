"""Families of chips: what an image is made of, beyond the cell. A family is a declaration; its C stands in firmware_templates/NAME."""

from __future__ import annotations

from nca_hw.errors import NcaHwError
from nca_hw.firmware.families.atmega import ATMEGA
from nca_hw.firmware.families.base import Family as Family
from nca_hw.firmware.families.ch32v0 import CH32V0
from nca_hw.firmware.families.native import NATIVE
from nca_hw.firmware.families.rp2040 import RP2040
from nca_hw.firmware.families.stm32g031 import STM32G031

FAMILIES: dict[str, Family] = {family.name: family for family in (RP2040, STM32G031, CH32V0, ATMEGA, NATIVE)}


def family(name: str) -> Family:
    """A family by its name.

    Raises:
        NcaHwError: there is none.
    """
    if name not in FAMILIES:
        raise NcaHwError(f"there is no family {name!r}", cure=f"Known: {', '.join(FAMILIES)}.")
    return FAMILIES[name]
