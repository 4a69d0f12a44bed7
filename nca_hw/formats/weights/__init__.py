"""Weight files of every common format, read without the frameworks that wrote them and without running anything from them.

`read` gives the model of a file, `write` keeps one as .npz. One module a format (web_demo, npz, tf_checkpoint, tf_graph, tfjs, torch_file,
safetensors_file, flax_msgpack, orbax) makes named arrays of a file's bytes; `layers` finds the two layers among them, `perception` reads
their filters. Below them: source and archive (bytes within bounds), sstable, protobuf, pickles, text, crc32c (what formats are made of).
"""

from __future__ import annotations

from nca_hw.formats.weights.contents import CHANNELS, KNOWN, LAYOUTS, PERCEPTION, SIZE_LIMIT, USUAL_FILTERS, Filters, Layout, Weights
from nca_hw.formats.weights.reading import read, write

__all__ = ["CHANNELS", "KNOWN", "LAYOUTS", "PERCEPTION", "SIZE_LIMIT", "USUAL_FILTERS", "Filters", "Layout", "Weights", "read", "write"]
