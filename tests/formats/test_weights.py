"""Weight files: known formats are read to the bit, everything else is refused with what was found and the cure."""

from __future__ import annotations

import base64
import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
        ({"b1": np.zeros(9)}, r"expected \[48, 9\]"),
        ({"w2": np.zeros((8, 12))}, r"w2 is \[8, 12\], expected \[8, 16\]"),
        ({"w1": np.full((48, 8), np.nan)}, "w1 holds 384 values that are NaN"),
        ({"b2": np.array([np.inf] + [0.0] * 15)}, "b2 holds 1 values"),
        ({"layout": np.array("diagonal")}, "says layout 'diagonal'"),
        ({"w1": np.full((48, 8), "x")}, "w1 is of type"),
    ],
)
def test_wrong_contents_are_named(tmp_path: Path, change: dict[str, np.ndarray], message: str) -> None:
    path = npz(tmp_path / "m.npz", **{**arrays(), **change})
    with pytest.raises(NcaHwError, match=message) as caught:
        weights.read(path)
    assert caught.value.where == str(path)


def test_missing_arrays_are_named_with_what_was_found(tmp_path: Path) -> None:
    with pytest.raises(NcaHwError, match=r"lacks b1, w2; found w1 \[48, 8\]"):
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


def _valid_npz() -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays(2))
    return out.getvalue()


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_give_a_message_or_are_read_but_never_a_traceback(tmp_path: Path, data: st.DataObject) -> None:
    start = data.draw(st.sampled_from([_valid_npz(), b'[{"in_ch": 48, "out_ch": 2, "data_b64": "AAAA"}]', b"{}", b"PK\x03\x04", b"[[[["]))
    raw = bytearray(start)
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    path = tmp_path / "damaged"
    path.write_bytes(bytes(raw[:cut]))
    try:
        weights.read(path)
    except NcaHwError as error:
        assert str(path) in str(error)
