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
    for name, value in (("s1", 11), ("s2", 18), ("alive", 8), ("alpha", 2), ("turn", 1)):
        hashes.add(shipped_size_genome(**{name: value}).cell_hash)
    assert len(hashes) == 12


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
    with pytest.raises(NcaHwError, match=r"format 7.*reads up to 2") as caught:
        from_bytes(_sealed(bytes(body)), "some.genome")
    assert "Upgrade" in (caught.value.cure or "")
    assert caught.value.where == "some.genome"


def test_a_genome_that_is_not_turned_has_the_hash_and_the_format_that_it_had_before_genomes_could_turn() -> None:
    """Hashes as computed when neither file nor cell knew of turns."""
    w1, w2 = ((np.arange(48 * 128) % 255 - 127).astype(np.int8).reshape(shape) for shape in ((48, 128), (-1, 48)))
    genome = shipped_size_genome(
        w1=w1, w2=w2.reshape(-1, 16)[:128], b1=np.arange(128, dtype=np.int16), b2=np.arange(16, dtype=np.int16),
        m2=np.arange(16, dtype=np.int16),
    )  # fmt: skip
    assert genome.cell_hash == "07a6c83f3e119f0248a7f326ebbdff8f09599d035053f6919fd51f7b2101fe81"
    assert hashlib.sha256(to_bytes(genome)).hexdigest() == "80c2b7dc9f33499c3dd62e79f5497b00e46f2fd12487ea6483cd09e497e944dd"


def test_a_turned_genome_is_of_a_format_that_readers_of_the_first_one_refuse() -> None:
    raw = to_bytes(shipped_size_genome(turn=30))
    assert struct.unpack_from("<I", raw, len(MAGIC)) == (2,)
    assert from_bytes(raw).turn == 30


@pytest.mark.parametrize(("turn", "version"), [(0, 2), (30, 1)])
def test_a_file_whose_format_and_turn_do_not_agree_is_refused(turn: int, version: int) -> None:
    body = bytearray(to_bytes(shipped_size_genome(turn=turn))[:-32])
    struct.pack_into("<I", body, len(MAGIC), version)
    with pytest.raises(NcaHwError, match=f"format {version} with"):
        from_bytes(_sealed(bytes(body)))


@given(st.binary(max_size=300))
def test_a_sealed_file_of_garbage_gives_a_message_and_no_traceback(junk: bytes) -> None:
    body = MAGIC + struct.pack("<II", 1, len(junk)) + junk
    with pytest.raises(NcaHwError):
        from_bytes(_sealed(body))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"s1": 0}, "s1 is 0, allowed are 1 to 24"),
        ({"turn": 360}, "turn is 360, allowed are 0 to 359"),
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
