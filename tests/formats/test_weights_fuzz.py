"""Damaged and hostile weight files by the thousand, every reader: a message or the weights, soon, in little memory, never anything else.

Bytes are flipped, cut, spliced, and numbers in them set to extremes, both of whole files and of the parts that a checksum protects (the
checksum made good again, so that what lies behind it is reached).
"""

from __future__ import annotations

import random
import resource
import shutil
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path

import msgpack
import pytest
import weight_files as files

from nca_hw.errors import NcaHwError
from nca_hw.formats import weights

TIMES = 800  # a format
SECONDS = 2.0  # of processor time for one file, memory traced; a sound one takes a few milliseconds
MEMORY = 16 << 20  # bytes more than before, for files of a few KB
ARRAYS = files.layers(2)
GOLDEN = Path(__file__).parent / "golden"
EXTREMES = [b"\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\xff" * 4, b"\xff" * 8, b"\0" * 8, b"\0\0\0\x80", b"\x7f" + b"\xff" * 7,
            b"\xff" * 7 + b"\x7f", b"999999999999", b"-1", b"1e999", b"\0\x01\0\0", b"\x80" * 9 + b"\x01"]  # fmt: skip


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to four changes, more often few than many."""
    raw = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        if not raw:
            break
        at, to = sorted((rng.randrange(len(raw)), rng.randrange(len(raw))))
        kind = rng.randrange(7)
        if kind == 0:
            raw[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            raw[at] = rng.randrange(256)
        elif kind == 2:
            del raw[at:]
        elif kind == 3:
            del raw[at : min(to, at + rng.randrange(1, 64))]
        elif kind == 4:  # a part of itself elsewhere
            raw[at:at] = raw[to : to + rng.randrange(1, 64)]
        elif kind == 5:
            number = rng.choice(EXTREMES)
            raw[at : at + len(number)] = number
        else:
            raw[at:at] = rng.choice(EXTREMES) * rng.choice([1, 1, 50])
    return bytes(raw)


def zipped(members: dict[str, bytes]) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def one_of(members: dict[str, bytes], rng: random.Random) -> dict[str, bytes]:
    """One member changed."""
    name = rng.choice(sorted(members))
    return {**members, name: mutated(members[name], rng)}


def arrays_behind_a_checksum(rng: random.Random) -> bytes:
    return zipped(one_of(MEMBERS["npz"], rng))


def pickle_behind_a_checksum(rng: random.Random) -> bytes:
    stored = files.pytorch(ARRAYS)
    return files.torch_zip(stored, pickled=mutated(files.state_dict(stored), rng))


def pickle_of_pytorch_itself(rng: random.Random) -> bytes:
    return zipped(one_of(MEMBERS["torch"], rng))


def arrays_within_messagepack(rng: random.Random) -> bytes:
    stored = {name.replace("/", "."): array for name, array in files.tensorflow(ARRAYS).items()}
    tree = msgpack.unpackb(files.flax(stored))
    layer, part = rng.choice(list(tree)), rng.choice(["kernel", "bias"])
    tree[layer][part] = msgpack.ExtType(1, mutated(tree[layer][part].data, rng))
    return bytes(msgpack.packb(tree))


GOOD = {name: make(ARRAYS) for name, make in files.ONE_FILE.items()}
GOOD |= {f"golden {name}": (GOLDEN / name).read_bytes() for name in ("torch.pt", "torch_legacy.pt", "flax.msgpack")}
MEMBERS = {"npz": unzipped(GOOD["npz"]), "torch": unzipped(GOOD["golden torch.pt"])}
MADE: dict[str, Callable[[random.Random], bytes]] = {
    **{name: partial(mutated, good) for name, good in GOOD.items()}, "npz members": arrays_behind_a_checksum,
    "torch pickles": pickle_behind_a_checksum, "PyTorch's members": pickle_of_pytorch_itself, "msgpack arrays": arrays_within_messagepack,
}  # fmt: skip


class Watch:
    """Reads files and keeps the worst time and memory."""

    def __init__(self) -> None:
        self.read = self.refused = 0

    def __call__(self, path: Path) -> None:
        tracemalloc.reset_peak()
        before, start = tracemalloc.get_traced_memory()[0], time.process_time()
        try:
            weights.read(path)
            self.read += 1
        except NcaHwError as error:
            self.refused += 1
            assert error.where
            assert error.cure, error.what
            assert len(str(error)) < 4000
        assert time.process_time() - start < SECONDS
        assert tracemalloc.get_traced_memory()[1] - before < MEMORY


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    """Memory is traced while it watches; also what Python does not see must stay small."""
    watch = Watch()
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    yield watch
    tracemalloc.stop()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident < 200 << 10  # KB


@pytest.mark.parametrize("name", MADE)
def test_no_damage_to_a_file_gives_anything_but_a_message(tmp_path: Path, watch: Watch, name: str) -> None:
    rng = random.Random(name)
    path = tmp_path / "model"
    for _ in range(TIMES):
        path.write_bytes(MADE[name](rng))
        watch(path)
    assert watch.refused > TIMES // 20
    assert watch.read


def test_no_damage_to_a_checkpoint_gives_anything_but_a_message(tmp_path: Path, watch: Watch) -> None:
    """The index as it is, its entries with good checksums around them, its shard; and those of the published model."""
    rng = random.Random(0)
    entries, shard = files.bundle(files.tensorflow(ARRAYS))
    index = files.table(entries)
    for i in range(TIMES // 2):
        broken = index if i % 4 else mutated(index, rng)
        if i % 4 in (1, 2):
            at = rng.randrange(len(entries))
            key, value = entries[at]
            changed = (mutated(key, rng), value) if rng.random() < 0.2 else (key, mutated(value, rng))
            broken = files.table([*entries[:at], changed, *entries[at + 1 :]])
        (tmp_path / "model.index").write_bytes(broken)
        (tmp_path / "model.data-00000-of-00001").write_bytes(mutated(shard, rng) if i % 4 == 3 else shard)
        watch(tmp_path / "model")
    assert watch.refused > TIMES // 4
    assert watch.read


def test_no_damage_to_the_published_checkpoint_gives_anything_but_a_message(tmp_path: Path, watch: Watch, published: Path) -> None:
    rng = random.Random(1)
    names = [f"8000.{part}" for part in ("index", "data-00000-of-00002", "data-00001-of-00002")]
    for name in names:
        shutil.copyfile(published / "planarian_float" / name, tmp_path / name)
    for i in range(TIMES // 10):
        name = names[0 if i % 2 else 2]
        good = (published / "planarian_float" / name).read_bytes()
        (tmp_path / name).write_bytes(mutated(good, rng))
        watch(tmp_path / "8000")
        (tmp_path / name).write_bytes(good)
    good = (published / "planarian_float" / "8000.json").read_bytes()
    for _ in range(TIMES // 10):
        (tmp_path / "8000.json").write_bytes(mutated(good, rng))
        watch(tmp_path / "8000.json")
    assert watch.refused
    assert watch.read


@pytest.mark.parametrize("name", ["orbax_manager", "orbax_zarr", "orbax_zarr3"])
def test_no_damage_to_an_orbax_folder_gives_anything_but_a_message(tmp_path: Path, watch: Watch, name: str) -> None:
    pytest.importorskip("tensorstore")
    rng = random.Random(name)
    good = unzipped((GOLDEN / f"{name}.zip").read_bytes())
    for member, data in good.items():
        path = tmp_path / member
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    read_first = [member for member in sorted(good) if "ocdbt.process_0/manifest" not in member and "METADATA" not in member]
    for _ in range(TIMES // 20):
        member = rng.choice(read_first)
        (tmp_path / member).write_bytes(mutated(good[member], rng))
        watch(tmp_path)
        (tmp_path / member).write_bytes(good[member])
    assert watch.refused
    assert watch.read
