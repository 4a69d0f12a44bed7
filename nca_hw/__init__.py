"""nca-hw: neural cellular automata on walls of tiny computers, from weights to firmware.

The layers, lowest first: `formats` (files), `core` (model, quantization, genome, the integer cell), `sim` (the asynchronous grid),
`firmware`, `emulate`, `report` and `train` (products), `cli` (words in, words out).
"""

__version__ = "0.1.0"
