"""TensorFlow: checkpoints, frozen graphs and TensorFlow.js give the numbers that were written, bit for bit; damage is found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import weight_files as files

from nca_hw.errors import NcaHwError
from nca_hw.formats import weights
from nca_hw.formats.weights.crc32c import crc32c
from nca_hw.formats.weights.sstable import entries


def test_a_checkpoint_is_named_by_its_prefix_its_index_or_a_shard(tmp_path: Path) -> None:
    arrays = files.layers(16)
    index = files.write_checkpoint(tmp_path, files.tensorflow(arrays))
    hashes = set()
    for path in (index, tmp_path / "model", tmp_path / "model.data-00000-of-00001"):
        read = weights.read(path)
        files.assert_same(read, arrays)
        assert read.format == "TensorFlow checkpoint"
        hashes.add(read.sha256)
    assert len(hashes) == 1


def test_the_published_float_planarian_is_the_same_from_its_checkpoint_its_graph_and_its_raw_bytes(published: Path) -> None:
    folder = published / "planarian_float"
    checkpoint, graph = weights.read(folder / "8000.index"), weights.read(folder / "8000.json")
    for name in ("w1", "b1", "w2", "b2"):
        assert getattr(checkpoint, name).tobytes() == getattr(graph, name).tobytes()
    shard = (folder / "8000.data-00001-of-00002").read_bytes()  # offsets and sizes read off the index by eye
    assert checkpoint.w1.tobytes() == shard[:24576]
    assert checkpoint.b1.tobytes() == shard[24576:25088]
    assert checkpoint.w2.tobytes() == shard[25088:33280]
    assert checkpoint.b2.tobytes() == shard[33280:]


def test_the_crc_is_that_of_the_standard() -> None:
    """Source: RFC 3720, appendix B.4."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


def test_keys_that_share_their_beginnings_are_put_together(published: Path) -> None:
    keys = [key.decode() for key, _ in entries((published / "planarian_float" / "8000.index").read_bytes())]
    assert keys[1:3] == ["_CHECKPOINTABLE_OBJECT_GRAPH", "dmodel/layer-0/bias/.ATTRIBUTES/VARIABLE_VALUE"]
    assert keys == sorted(keys)


def test_a_flipped_bit_in_a_shard_or_an_index_is_found_by_its_crc(tmp_path: Path) -> None:
    index = files.write_checkpoint(tmp_path, files.tensorflow(files.layers()))
    shard = tmp_path / "model.data-00000-of-00001"
    for path, message in ((shard, "'layer-0/kernel' is not what was saved"), (index, "CRC is wrong")):
        good = path.read_bytes()
        path.write_bytes(good[:60] + bytes([good[60] ^ 1]) + good[61:])
        with pytest.raises(NcaHwError, match=message):
            weights.read(index)
        path.write_bytes(good)


def test_a_shard_that_is_missing_or_short_is_named(tmp_path: Path) -> None:
    index = files.write_checkpoint(tmp_path, files.tensorflow(files.layers()))
    shard = tmp_path / "model.data-00000-of-00001"
    shard.write_bytes(shard.read_bytes()[:-8])
    with pytest.raises(NcaHwError, match="'layer-1/kernel' ends at byte"):
        weights.read(index)
    shard.unlink()
    with pytest.raises(NcaHwError, match=r"model\.data-00000-of-00001: can't be read"):
        weights.read(tmp_path / "model")


def test_a_compressed_index_is_refused_in_words(tmp_path: Path) -> None:
    index, shard = files.checkpoint(files.tensorflow(files.layers()), kind=1)
    files.saved(tmp_path, shard, "model.data-00000-of-00001")
    with pytest.raises(NcaHwError, match="compressed by Snappy"):
        weights.read(files.saved(tmp_path, index, "model.index"))


def test_the_optimizers_slots_are_no_second_model(tmp_path: Path) -> None:
    arrays = files.layers()
    stored = files.tensorflow(arrays)
    for name in list(stored):
        stored[f"{name}/.OPTIMIZER_SLOT/optimizer/m"] = np.ones_like(stored[name])
        stored[f"{name}/Adam_1"] = np.ones_like(stored[name])
    files.assert_same(weights.read(files.write_checkpoint(tmp_path, stored)), arrays)


def test_a_saved_model_is_named_by_its_folder(tmp_path: Path) -> None:
    arrays = files.layers()
    (tmp_path / "saved" / "variables").mkdir(parents=True)
    files.write_checkpoint(tmp_path / "saved" / "variables", files.tensorflow(arrays), "variables")
    files.assert_same(weights.read(tmp_path / "saved"), arrays)


def tfjs_with_files(folder: Path, arrays: files.Arrays, path: str = "group1-shard1of1.bin") -> Path:
    specs = [{"name": name, "shape": list(array.shape), "dtype": "float32"} for name, array in arrays.items()]
    (folder / "group1-shard1of1.bin").write_bytes(b"".join(array.tobytes() for array in arrays.values()))
    document = {"format": "layers-model", "modelTopology": {}, "weightsManifest": [{"paths": [path], "weights": specs}]}
    return files.saved(folder, json.dumps(document).encode(), "model.json")


def test_a_tensorflow_js_model_is_read_with_the_files_beside_it(tmp_path: Path) -> None:
    arrays = files.layers()
    files.assert_same(weights.read(tfjs_with_files(tmp_path, files.tensorflow(arrays))), arrays)


def test_quantized_tensorflow_js_weights_are_unpacked_by_their_scale(tmp_path: Path) -> None:
    arrays = files.tensorflow(files.layers())
    path = tfjs_with_files(tmp_path, arrays)
    document = json.loads(path.read_text())
    for spec in document["weightsManifest"][0]["weights"]:
        spec["quantization"] = {"dtype": "uint8", "scale": 0.5, "min": -3.0}
    path.write_text(json.dumps(document))
    (tmp_path / "group1-shard1of1.bin").write_bytes(bytes(range(4)) * (48 * 4 // 4 + 1 + 16 + 4))
    assert weights.read(path).w1[0].tolist() == [-3.0, -2.5, -2.0, -1.5]


@pytest.mark.parametrize("path", ["../group1-shard1of1.bin", "/etc/passwd", "a/b", "..", "C:x", ""])
def test_a_manifest_can_name_nothing_outside_its_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(NcaHwError, match="Only files beside the JSON"):
        weights.read(tfjs_with_files(tmp_path, files.tensorflow(files.layers()), path))
