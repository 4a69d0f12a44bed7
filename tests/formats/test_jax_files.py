"""JAX: what Flax and Orbax wrote of a CAX model is read bit for bit, its filters included."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from nca_hw.errors import ToolMissing
from nca_hw.formats import weights

GOLDEN = Path(__file__).parent / "golden"


def cax_truth() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "cax_truth.npz") as truth:
        return {name: truth[name] for name in truth.files}


def same_as_cax(read: weights.Weights) -> None:
    truth = cax_truth()
    assert read.w1.tobytes() == truth["update/layers/0/kernel"].tobytes()
    assert read.b1.tobytes() == truth["update/layers/0/bias"].tobytes()
    assert read.w2.tobytes() == truth["update/layers/1/kernel"].tobytes()
    assert read.b2.tobytes() == truth["update/layers/1/bias"].tobytes()
    assert (read.layout, read.axes_known, [kind for kind, _ in read.filters]) == ("interleaved", True, [0, 2, 1])  # CAX has y first


def test_a_cax_model_that_flax_itself_wrote_is_read_to_the_bit() -> None:
    """flax.serialization.to_bytes of Flax 0.12, a CAX 0.3 model with ConvPerceive and NCAUpdate."""
    same_as_cax(weights.read(GOLDEN / "flax.msgpack"))


@pytest.mark.parametrize("name", ["orbax_manager", "orbax_zarr", "orbax_zarr3"])
def test_cax_models_that_orbax_itself_wrote_are_read_to_the_bit(tmp_path: Path, name: str) -> None:
    """Orbax 0.12: a CheckpointManager's folder, one without OCDBT, one of zarr 3; all of the model above."""
    pytest.importorskip("tensorstore")
    with zipfile.ZipFile(GOLDEN / f"{name}.zip") as archive:
        archive.extractall(tmp_path / name)
    same_as_cax(weights.read(tmp_path / name))


def test_without_tensorstore_an_orbax_folder_names_the_line_that_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorstore", None)
    with zipfile.ZipFile(GOLDEN / "orbax_zarr.zip") as archive:
        archive.extractall(tmp_path)
    with pytest.raises(ToolMissing, match=r"pip install 'nca-hw\[orbax\]'") as caught:
        weights.read(tmp_path)
    assert caught.value.exit_code == 3
