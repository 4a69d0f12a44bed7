"""Writers of weight files, made from the formats' documents and not from the readers: small, plain, and free to write nonsense."""

from __future__ import annotations

import base64
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

Arrays = dict[str, np.ndarray]


def layers(hidden: int = 4, seed: int = 0) -> Arrays:
    """w1 [48, H], b1, w2 [H, 16], b2, float32."""
    rng = np.random.default_rng(seed)
    shapes = {"w1": (48, hidden), "b1": (hidden,), "w2": (hidden, 16), "b2": (16,)}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def tensorflow(arrays: Arrays) -> Arrays:
    """As Keras names and shapes them."""
    return {"layer-0/kernel": arrays["w1"][None, None], "layer-0/bias": arrays["b1"], "layer-1/kernel": arrays["w2"][None, None],
            "layer-1/bias": arrays["b2"]}  # fmt: skip


def pytorch(arrays: Arrays) -> Arrays:
    """As PyTorch names and shapes 1x1 convolutions."""
    turned = {name: np.ascontiguousarray(arrays[name].T)[:, :, None, None] for name in ("w1", "w2")}
    return {"fc0.weight": turned["w1"], "fc0.bias": arrays["b1"], "fc1.weight": turned["w2"], "fc1.bias": arrays["b2"]}


def npz(arrays: Arrays) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def web_demo(arrays: Arrays) -> bytes:
    """Random bytes in the demo's shapes: the format has no floats to give."""
    rng = np.random.default_rng(0)
    shapes = [arrays["w1"].shape, arrays["w2"].shape]
    return json.dumps([
        {"in_ch": rows, "out_ch": columns, "weight_scale": 2.0, "bias_scale": 0.5,
         "data_b64": base64.b64encode(rng.bytes((rows + 1) * columns)).decode()} for rows, columns in shapes
    ]).encode()  # fmt: skip


def varint(n: int) -> bytes:
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def slow_masked_crc32c(data: bytes) -> int:
    """Bit by bit, as a division of polynomials; then LevelDB's mask."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF


def table(entries: list[tuple[bytes, bytes]], kind: int = 0) -> bytes:
    """A LevelDB table; no key shares anything with the one before it."""
    blocks = b""

    def block(pairs: list[tuple[bytes, bytes]], kind: int) -> bytes:
        nonlocal blocks
        body = b"".join(b"\0" + varint(len(key)) + varint(len(value)) + key + value for key, value in pairs) + struct.pack("<II", 0, 1)
        handle = varint(len(blocks)) + varint(len(body))
        body += bytes([kind])
        blocks += body + struct.pack("<I", slow_masked_crc32c(body))
        return handle

    data = block(entries, kind)
    meta = block([], 0)
    index = block([(b"\xff", data)], 0)
    return blocks + (meta + index).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def shape_proto(shape: tuple[int, ...]) -> bytes:
    return b"".join(field(2, field(1, n)) for n in shape)


def bundle(arrays: Arrays) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Entries of a TensorFlow checkpoint's index, and its one shard; float32 tensors."""
    entries, shard = [(b"", field(1, 1))], b""
    for name in sorted(arrays):
        data = arrays[name].tobytes()
        proto = field(1, 1) + field(2, shape_proto(arrays[name].shape)) + field(4, len(shard)) + field(5, len(data))
        entries.append((name.encode(), proto + varint(6 << 3 | 5) + struct.pack("<I", slow_masked_crc32c(data))))
        shard += data
    return entries, shard


def checkpoint(arrays: Arrays, kind: int = 0) -> tuple[bytes, bytes]:
    """Index and shard."""
    entries, shard = bundle(arrays)
    return table(entries, kind), shard


def graph(arrays: Arrays) -> bytes:
    """GraphDef: a placeholder and a Const for each array, the biases as lists of numbers, the kernels as bytes."""
    nodes = field(1, field(1, b"x") + field(2, b"Placeholder"))
    for name, array in arrays.items():
        content = field(4, array.tobytes()) if array.ndim > 1 else field(5, array.tobytes())
        tensor = field(1, 1) + field(2, shape_proto(array.shape)) + content
        attribute = field(1, b"value") + field(2, field(8, tensor))
        nodes += field(1, field(1, name.encode()) + field(2, b"Const") + field(5, attribute))
    return nodes


def tfjs(arrays: Arrays) -> bytes:
    """A frozen graph as TensorFlow.js JSON, constants inside."""
    nodes: list[dict[str, Any]] = [{"name": "x", "op": "Placeholder"}]
    for name, array in arrays.items():
        tensor: dict[str, Any] = {"dtype": "DT_FLOAT", "tensorShape": {"dim": [{"size": str(n)} for n in array.shape]}}
        if array.ndim > 1:
            tensor["tensorContent"] = base64.b64encode(array.tobytes()).decode()
        else:
            tensor["floatVal"] = array.astype(float).tolist()
        nodes.append({"name": name, "op": "Const", "attr": {"dtype": {"type": "DT_FLOAT"}, "value": {"tensor": tensor}}})
    return json.dumps({"format": "graph-model", "modelTopology": {"node": nodes}, "weightsManifest": []}).encode()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def whole(n: int) -> bytes:
    return b"J" + struct.pack("<i", n)


def sizes(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(whole, values)) + b"t"


def tensor(key: str, shape: tuple[int, ...], *, storage: str = "FloatStorage", device: str = "cpu", legacy: bool = False) -> bytes:
    """The opcodes of one contiguous tensor."""
    strides = tuple(int(np.prod(shape[i + 1 :], dtype=int)) for i in range(len(shape)))
    persistent = b"(" + text("storage") + b"ctorch\n" + storage.encode() + b"\n" + text(key) + text(device)
    persistent += whole(int(np.prod(shape, dtype=int))) + (b"N" if legacy else b"") + b"tQ"
    hooks = b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + persistent + whole(0) + sizes(shape) + sizes(strides) + b"\x89" + hooks + b"tR"


def state_dict(arrays: Arrays, *, storage: str = "FloatStorage", device: str = "cpu", legacy: bool = False) -> bytes:
    """The pickle of an OrderedDict with its versions of modules, as torch.save writes it."""
    out = b"\x80\x02ccollections\nOrderedDict\n)R("
    for i, (name, array) in enumerate(arrays.items()):
        out += text(name) + tensor(str(i), array.shape, storage=storage, device=device, legacy=legacy)
    return out + b"u}" + text("_metadata") + b"}" + text("version") + whole(1) + b"ssb."


def torch_zip(arrays: Arrays, *, storage: str = "FloatStorage", device: str = "cpu", pickled: bytes | None = None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("model/data.pkl", pickled if pickled is not None else state_dict(arrays, storage=storage, device=device))
        archive.writestr("model/byteorder", "little")
        for i, array in enumerate(arrays.values()):
            archive.writestr(f"model/data/{i}", array.tobytes())
        archive.writestr("model/version", "3\n")
    return out.getvalue()


def torch_legacy(arrays: Arrays) -> bytes:
    head = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}))
    storages = b"".join(struct.pack("<q", array.size) + array.tobytes() for array in arrays.values())
    return head + state_dict(arrays, legacy=True) + pickle.dumps([str(i) for i in range(len(arrays))], 2) + storages


def flax(arrays: Arrays) -> bytes:
    """Nested dictionaries; names are split at dots."""
    tree: dict[str, Any] = {}
    for name, array in arrays.items():
        *path, last = name.split(".")
        place = tree
        for part in path:
            place = place.setdefault(part, {})
        place[last] = msgpack.ExtType(1, msgpack.packb((array.shape, array.dtype.name, array.tobytes()), use_bin_type=True))
    return bytes(msgpack.packb(tree, use_bin_type=True))


def safetensors(arrays: Arrays) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "np"}}
    body = b""
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [len(body), len(body) + array.nbytes]}
        body += array.tobytes()
    words = json.dumps(header).encode()
    return struct.pack("<Q", len(words)) + words + body


def write_checkpoint(folder: Path, arrays: Arrays, name: str = "model") -> Path:
    index, shard = checkpoint(arrays)
    (folder / f"{name}.index").write_bytes(index)
    (folder / f"{name}.data-00000-of-00001").write_bytes(shard)
    return folder / f"{name}.index"


ONE_FILE = {
    "web_demo": web_demo, "npz": npz, "graph": lambda arrays: graph(tensorflow(arrays)), "tfjs": lambda arrays: tfjs(tensorflow(arrays)),
    "torch_zip": lambda arrays: torch_zip(pytorch(arrays)), "torch_legacy": lambda arrays: torch_legacy(pytorch(arrays)),
    "flax": lambda arrays: flax({name.replace("/", "."): array for name, array in tensorflow(arrays).items()}),
    "safetensors": lambda arrays: safetensors(pytorch(arrays)),
}  # fmt: skip


def saved(folder: Path, data: bytes, name: str = "model") -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def assert_same(read: Any, arrays: Arrays) -> None:
    """Bit for bit."""
    for name, array in arrays.items():
        assert getattr(read, name).tobytes() == array.tobytes(), name
