"""Weight files: known formats are read to the bit, everything else is refused with what was found and the cure."""

from __future__ import annotations

import base64
import json
import pickle
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import weight_files as files

from nca_hw.errors import NcaHwError
from nca_hw.formats import weights


def arrays(hidden: int = 8) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"w1": rng.standard_normal((48, hidden)).astype(np.float32), "b1": rng.standard_normal(hidden).astype(np.float32),
            "w2": rng.standard_normal((hidden, 16)).astype(np.float32)}  # fmt: skip


def npz(path: Path, **contents: np.ndarray) -> Path:
    np.savez(path, **contents)
    return path


def test_npz_is_read_as_it_stands(tmp_path: Path) -> None:
    given_arrays = arrays()
    read = weights.read(npz(tmp_path / "m.npz", **given_arrays))
    for name, array in given_arrays.items():
        np.testing.assert_array_equal(getattr(read, name), array)
    assert not read.b2.any()
    assert read.layout is None


def test_pytorch_orientation_and_empty_axes_are_recognised(tmp_path: Path) -> None:
    a = arrays()
    read = weights.read(npz(tmp_path / "m.npz", w1=a["w1"].T[:, :, None, None], b1=a["b1"], w2=a["w2"].T[:, :, None, None]))
    np.testing.assert_array_equal(read.w1, a["w1"])
    np.testing.assert_array_equal(read.w2, a["w2"])


def test_weights_survive_writing(tmp_path: Path) -> None:
    first = weights.read(npz(tmp_path / "m.npz", **arrays()))
    weights.write(tmp_path / "n.npz", first)
    second = weights.read(tmp_path / "n.npz")
    np.testing.assert_array_equal(second.w1, first.w1)
    weights.write(tmp_path / "o.npz", first)
    assert (tmp_path / "n.npz").read_bytes() == (tmp_path / "o.npz").read_bytes()


def test_the_web_demo_json_is_read_by_its_formula(tmp_path: Path) -> None:
    raw1 = np.arange(49 * 2, dtype=np.uint8).reshape(49, 2)
    raw2 = np.arange(3 * 16, dtype=np.uint8).reshape(3, 16)
    layers = [
        {"in_ch": 48, "out_ch": 2, "weight_scale": 2.0, "bias_scale": 0.5, "data_b64": base64.b64encode(raw1.tobytes()).decode()},
        {"in_ch": 2, "out_ch": 16, "weight_scale": 3.0, "bias_scale": 0.25, "data_b64": base64.b64encode(raw2.tobytes()).decode()},
    ]
    path = tmp_path / "m.json"
    path.write_text(json.dumps(layers))
    read = weights.read(path)
    assert read.w1[1, 1] == np.float32((3 / 255 - 0.5) * 2.0)
    assert read.b1[1] == np.float32((97 / 255 - 0.5) * 0.5)
    assert read.b2[15] == np.float32((47 / 255 - 0.5) * 0.25)


def test_every_published_web_demo_model_is_read(published: Path) -> None:
    paths = sorted(published.glob("ex*.json"))
    assert len(paths) >= 10
    for path in paths:
        assert weights.read(path).w1.shape == (48, 128)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w1": np.zeros((40, 8))}, r"w1 is \[40, 8\], expected \[48, 8\]"),
        ({"b1": np.zeros(9)}, r"b1 is \[9\], expected \[8\]"),
        ({"w2": np.zeros((8, 12))}, r"w2 is \[8, 12\], expected \[8, 16\]"),
        ({"w1": np.full((48, 8), np.nan)}, "w1 holds 384 values that are NaN"),
        ({"b2": np.array([np.inf] + [0.0] * 15)}, "b2 holds 1 values"),
        ({"layout": np.array("diagonal")}, "says layout 'diagonal'"),
        ({"w1": np.full((48, 8), "x")}, "w1 is U"),
    ],
)
def test_wrong_contents_are_named(tmp_path: Path, change: dict[str, np.ndarray], message: str) -> None:
    path = npz(tmp_path / "m.npz", **{**arrays(), **change})
    with pytest.raises(NcaHwError, match=message) as caught:
        weights.read(path)
    assert caught.value.where == str(path)


def test_missing_arrays_are_named_with_what_was_found(tmp_path: Path) -> None:
    with pytest.raises(NcaHwError, match=r"lacks w2; found w1 \[48, 8\]"):
        weights.read(npz(tmp_path / "m.npz", w1=arrays()["w1"]))


class Bomb:
    """Pickled, it would run code when it is loaded."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('code from a weight file ran')",))


def test_pickled_objects_are_refused_and_never_run(tmp_path: Path) -> None:
    plain = tmp_path / "m.pkl"
    plain.write_bytes(pickle.dumps(Bomb()))
    inside = npz(tmp_path / "m.npz", **{**arrays(), "w2": np.array([Bomb()], dtype=object)})
    for path in (plain, inside):
        with pytest.raises(NcaHwError):
            weights.read(path)


def test_an_archive_that_unpacks_to_far_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w1.npy", bytes(80 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(NcaHwError, match="declares 83886080 bytes"):
        weights.read(path)


def test_a_missing_file_and_an_unknown_format_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NcaHwError, match="can't be read"):
        weights.read(tmp_path / "none.npz")
    (tmp_path / "x.bin").write_bytes(b"\x00\x01\x02")
    with pytest.raises(NcaHwError, match="no known weight format"):
        weights.read(tmp_path / "x.bin")


@pytest.mark.parametrize("name", [name for name in files.ONE_FILE if name != "web_demo"])
@pytest.mark.parametrize("hidden", [1, 2, 16, 48, 128, 256])
def test_a_file_of_any_format_and_hidden_size_is_read_to_the_bit(tmp_path: Path, name: str, hidden: int) -> None:
    arrays = files.layers(hidden)
    files.assert_same(weights.read(files.saved(tmp_path, files.ONE_FILE[name](arrays))), arrays)


def test_the_safetensors_package_agrees(tmp_path: Path) -> None:
    package = pytest.importorskip("safetensors.numpy")
    arrays = files.layers(24)
    package.save_file(files.pytorch(arrays), tmp_path / "model.safetensors")
    files.assert_same(weights.read(tmp_path / "model.safetensors"), arrays)


def test_bfloat16_of_safetensors_is_the_upper_half_of_float32(tmp_path: Path) -> None:
    arrays = files.layers()
    upper = {name: array.view(np.uint32) >> 16 << 16 for name, array in arrays.items()}
    halves = {name: (array.view(np.uint32) >> 16).astype(np.uint16) for name, array in files.pytorch(arrays).items()}
    data = files.safetensors(halves).replace(b'"F32"', b'"BF16"')
    grown = struct.unpack("<Q", data[:8])[0] + data.count(b'"BF16"')
    read = weights.read(files.saved(tmp_path, struct.pack("<Q", grown) + data[8:]))
    assert read.w1.tobytes() == upper["w1"].tobytes()


def test_the_order_of_arrays_in_a_file_does_not_matter(tmp_path: Path) -> None:
    arrays = files.layers(16)
    stored = list(files.pytorch(arrays).items())
    for seed in range(5):
        random.Random(seed).shuffle(stored)
        files.assert_same(weights.read(files.saved(tmp_path, files.safetensors(dict(stored)))), arrays)
