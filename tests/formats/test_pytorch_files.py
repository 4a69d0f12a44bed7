"""PyTorch: state dicts of both formats give the numbers that were written, bit for bit; a pickle never runs."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import weight_files as files

from nca_hw.errors import NcaHwError
from nca_hw.formats import weights

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", ["torch.pt", "torch_legacy.pt"])
def test_files_that_pytorch_itself_wrote_are_read_to_the_bit(name: str) -> None:
    """torch.save of PyTorch 2.13, a Sequential whose last layer has no bias; the truth was written beside it by numpy.savez."""
    read = weights.read(GOLDEN / name)
    with np.load(GOLDEN / "torch_truth.npz") as truth:
        assert read.w1.tobytes() == truth["0.weight"][:, :, 0, 0].T.tobytes()
        assert read.b1.tobytes() == truth["0.bias"].tobytes()
        assert read.w2.tobytes() == truth["2.weight"][:, :, 0, 0].T.tobytes()
    assert not read.b2.any()
    assert read.tensors == {"w1": "0.weight", "b1": "0.bias", "w2": "2.weight"}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32", "float64"])
def test_pytorch_of_this_machine_agrees(tmp_path: Path, kind: str, legacy: bool) -> None:
    """Nested as training scripts nest it, with an optimizer that ran, views of one storage, in every type of float."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Conv2d(48, 24, 1), torch.nn.ReLU(), torch.nn.Conv2d(24, 16, 1))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 48, 2, 2)).sum().backward()
    optimizer.step()
    model = model.to(getattr(torch, kind))
    state = {f"module.{name}": value for name, value in model.state_dict().items()}
    state["module.0.weight"] = state["module.0.weight"].squeeze().T.contiguous().T[:, :, None, None]  # strides as nobody expects them
    path = tmp_path / "model.pt"
    document = {"epoch": 3, "loss": 0.5, "model": state, "optimizer": optimizer.state_dict()}
    torch.save(document, path, _use_new_zipfile_serialization=not legacy)
    read = weights.read(path)
    expected = [value.detach().float().numpy() for value in model.state_dict().values()]
    assert read.w1.tobytes() == np.ascontiguousarray(expected[0][:, :, 0, 0].T).tobytes()
    assert read.b1.tobytes() == expected[1].tobytes()
    assert read.w2.tobytes() == np.ascontiguousarray(expected[2][:, :, 0, 0].T).tobytes()
    assert read.b2.tobytes() == expected[3].tobytes()


@pytest.mark.parametrize("legacy", [False, True])
def test_a_whole_module_saved_by_pytorch_is_refused_with_the_cure(tmp_path: Path, legacy: bool) -> None:
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Sequential(torch.nn.Conv2d(48, 8, 1)), tmp_path / "model.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(NcaHwError, match=r"model\.state_dict\(\)"):
        weights.read(tmp_path / "model.pt")


def test_a_state_dict_saved_on_a_graphics_card_needs_none(tmp_path: Path) -> None:
    arrays = files.layers()
    files.assert_same(weights.read(files.saved(tmp_path, files.torch_zip(files.pytorch(arrays), device="cuda:0"))), arrays)
    cuda = files.state_dict(files.pytorch(arrays), device="cuda:0").replace(b"ctorch\n", b"ctorch.cuda\n")
    files.assert_same(weights.read(files.saved(tmp_path, files.torch_zip(files.pytorch(arrays), pickled=cuda))), arrays)


class Bomb:
    """Pickled, it would run code when it is loaded."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.system, ("touch code-from-a-file-ran",))


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_pickles_name_functions_in_vain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int) -> None:
    monkeypatch.chdir(tmp_path)
    arrays = files.pytorch(files.layers())
    bomb = pickle.dumps({"fc0.weight": Bomb()}, protocol)
    legacy = files.torch_legacy(arrays).replace(files.state_dict(arrays, legacy=True), bomb)
    for data in (bomb, files.torch_zip(arrays, pickled=bomb), legacy):
        with pytest.raises(NcaHwError):
            weights.read(files.saved(tmp_path, data))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("opcodes", "message"),
    [
        (b"cbuiltins\neval\n(X\x01\x00\x00\x001tR.", r"'builtins\.eval'"),
        (b"ctorch\nload\n)R.", r"'torch\.load'"),
        (b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n)R.", "__globals__"),
        (b"(i__main__\nNet\n.", "opcode INST"),
        (b"ccollections\nOrderedDict\n)\x81.", "opcode NEWOBJ"),
        (b"P1\n.", "opcode PERSID"),
        (b"(X\x06\x00\x00\x00moduleNNNNtQ.", "a whole pickled module"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "damaged pickle"),  # BINBYTES8 of 2**63 - 1 bytes
        (b"]" + b"2" * 10 + b".", "opcode DUP"),
        (b"]r\xff\xff\xff\xff.", "holds no tensors"),  # a memo's place at the far end takes no space
        (b"N" * 100_001 + b".", "more than 100000 steps"),
        (b"(" * 50_000 + b"t" * 50_000 + b".", "steps|damaged|mark"),
        (b"}" + b"}" * 3, "without an end|damaged"),
    ],
)
def test_a_hostile_pickle_is_refused_and_named(tmp_path: Path, opcodes: bytes, message: str) -> None:
    with pytest.raises(NcaHwError, match=message):
        weights.read(files.saved(tmp_path, files.torch_zip({}, pickled=b"\x80\x02" + opcodes)))


def test_dictionaries_that_refer_to_one_another_a_billion_times_are_visited_once(tmp_path: Path) -> None:
    laughs = b"\x80\x02]q\x00" + b"".join(b"(" + (b"h%c" % i) * 10 + b"lq" + bytes([i + 1]) for i in range(12)) + b"."
    with pytest.raises(NcaHwError, match="holds no tensors"):
        weights.read(files.saved(tmp_path, files.torch_zip({}, pickled=laughs)))


def test_a_view_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    arrays = files.pytorch(files.layers())
    good = files.state_dict(arrays)
    longer, wider = (files.sizes((4,)), files.sizes((5,))), (files.sizes((48, 1, 1, 1)), files.sizes((99, 1, 1, 1)))
    for change in (good.replace(*longer, 1), good.replace(*wider)):
        assert change != good
        with pytest.raises(NcaHwError, match="reaches to number"):
            weights.read(files.saved(tmp_path, files.torch_zip(arrays, pickled=change)))
