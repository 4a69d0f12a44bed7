"""Kernels: assembly that replaces the C core's cell on one instruction set, and the genome's tables in the order in which it reads them.

    base            what a kernel declares
    avr             atmega328p
    cortex_m0plus   rp2040, stm32g031
    rv32ec          ch32v003, in three kinds from small to fast
"""

from __future__ import annotations

from nca_hw.firmware.kernels.base import Kernel as Kernel
from nca_hw.firmware.kernels.base import able as able
