"""The genome file: what goes in comes out, and anything else is refused with one clear message."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from genome_strategies import genomes, shipped_size_genome
from hypothesis import given, settings
from hypothesis import strategies as st

from nca_hw.core import genome as genome_module
from nca_hw.core.genome import MAGIC, Genome, from_bytes, load, to_bytes
from nca_hw.errors import ExitCode, NcaHwError


@settings(max_examples=50)
@given(genomes())
def test_a_genome_survives_its_file(genome: Genome) -> None:
    again = from_bytes(to_bytes(genome))
    assert again.cell_hash == genome.cell_hash
    assert to_bytes(again) == to_bytes(genome)


def test_every_field_that_changes_the_cell_changes_its_hash() -> None:
    genome = shipped_size_genome()
    hashes = {genome.cell_hash}
    for name in ("w1", "b1", "w2", "b2", "m2", "seed"):
        array = getattr(genome, name).copy()
        array.flat[0] ^= 1
        hashes.add(shipped_size_genome(**{name: array}).cell_hash)
    for name, value in (("s1", 11), ("s2", 18), ("alive", 8), ("alpha", 2)):
        hashes.add(shipped_size_genome(**{name: value}).cell_hash)
    assert len(hashes) == 11


def test_names_and_pictures_do_not_change_the_hash() -> None:
    assert shipped_size_genome(target=b"picture").with_quality(loss=0.1).cell_hash == shipped_size_genome().cell_hash


@given(st.data())
def test_any_flipped_byte_is_noticed(data: st.DataObject) -> None:
    raw = bytearray(to_bytes(shipped_size_genome()))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(NcaHwError, match=r"damaged|not a genome"):
        from_bytes(bytes(raw))


@given(st.integers(0, 9000))
def test_any_truncated_file_is_noticed(length: int) -> None:
    with pytest.raises(NcaHwError, match=r"damaged|not a genome"):
        from_bytes(to_bytes(shipped_size_genome())[:length])


def _sealed(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()


def test_a_newer_format_is_named() -> None:
    body = bytearray(to_bytes(shipped_size_genome())[:-32])
    struct.pack_into("<I", body, len(MAGIC), 7)
    with pytest.raises(NcaHwError, match=r"format 7.*reads up to 1") as caught:
        from_bytes(_sealed(bytes(body)), "some.genome")
    assert "Upgrade" in (caught.value.cure or "")
    assert caught.value.where == "some.genome"


@given(st.binary(max_size=300))
def test_a_sealed_file_of_garbage_gives_a_message_and_no_traceback(junk: bytes) -> None:
    body = MAGIC + struct.pack("<II", 1, len(junk)) + junk
    with pytest.raises(NcaHwError):
        from_bytes(_sealed(body))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"s1": 0}, "s1 is 0, allowed are 1 to 24"),
        ({"s2": 31}, "s2 is 31, allowed are 12 to 30"),
        ({"alpha": 16}, "alpha is 16"),
        ({"w1": np.zeros((32, 128), np.int8)}, r"w1 has shape \[32, 128\], expected \[48, 128\]"),
        ({"w2": np.full((128, 16), -128, np.int8)}, "w2 holds -128 to -128, allowed are -127 to 127"),
        ({"b1": np.zeros(128, np.int32)}, "b1 is int32, expected int16"),
        ({"decode": np.zeros(128, np.int16)}, "decode table"),
        ({"m2": np.full(16, -1, np.int16)}, "m2 holds -1"),
    ],
)
def test_values_outside_the_specification_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(NcaHwError, match=message):
        shipped_size_genome(**changes)


def test_saving_leaves_nothing_behind_when_the_folder_is_missing(tmp_path: Path) -> None:
    with pytest.raises(NcaHwError, match="can't be written") as caught:
        shipped_size_genome().save(tmp_path / "nowhere" / "x.genome")
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert not list(tmp_path.iterdir())


def test_an_unknown_name_lists_the_bundled_genomes() -> None:
    with pytest.raises(NcaHwError, match="lizard"):
        load("unicorn")


def test_every_bundled_genome_loads_and_states_its_origin() -> None:
    assert "lizard" in genome_module.bundled()
    for name, path in genome_module.bundled().items():
        genome = load(name)
        assert genome.provenance.licence, path
        assert genome.provenance.command.startswith("nca-hw train"), path
        assert genome.target, path
