"""The model among a file's arrays: found by shape whatever the names, told when there is a choice, its filters folded in or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import weight_files as files

from nca_hw.core.layout import to_model
from nca_hw.core.model import network, perceive
from nca_hw.errors import NcaHwError
from nca_hw.formats import weights

IDENTITY = np.pad(np.ones((1, 1), np.float32), 1)
SOBEL_X = np.outer([1, 2, 1], [-1, 0, 1]).astype(np.float32)
SOBEL_Y = SOBEL_X.T
LAPLACIAN = np.float32([[1, 2, 1], [2, -12, 2], [1, 2, 1]])


def saved(folder: Path, arrays: files.Arrays) -> Path:
    path = folder / "model.safetensors"
    path.write_bytes(files.safetensors({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
    return path


def perceived_by(states: np.ndarray, bank: np.ndarray, channels: np.ndarray) -> np.ndarray:
    """Perception by convolution written out: output o is filter o over channel channels[o]. The truth of this file."""
    height, width, _ = states.shape
    padded = np.pad(states, ((1, 1), (1, 1), (0, 0)))
    out = np.zeros((height, width, len(bank)))
    for o, (one, channel) in enumerate(zip(bank, channels, strict=True)):
        for dy in range(3):
            for dx in range(3):
                out[..., o] += one[dy, dx] * padded[dy : dy + height, dx : dx + width, channel]
    return out


def network_of_the_file(arrays: files.Arrays, perception: np.ndarray) -> np.ndarray:
    return np.maximum(perception @ arrays["w1"] + arrays["b1"], 0) @ arrays["w2"] + arrays["b2"]


INTERLEAVED, BLOCKED = np.arange(48) // 3, np.arange(48) % 16
USUAL = [IDENTITY, SOBEL_X / 8, SOBEL_Y / 8]
ODD = [SOBEL_Y / 4, IDENTITY * 2, -SOBEL_X]


def full(bank: np.ndarray, channels: np.ndarray) -> np.ndarray:
    """The filters as a convolution of all 16 channels, [48, 16, 3, 3]: zeros but for the one channel of each output."""
    return bank[:, None] * (np.arange(16) == channels[:, None])[..., None, None]


CASES = {
    "PyTorch, 16 groups": (USUAL, INTERLEAVED, lambda bank: bank[:, None]),
    "PyTorch, a state repeated three times": (USUAL, BLOCKED, lambda bank: bank[:, None]),
    "PyTorch, full": (USUAL, BLOCKED, lambda bank: full(bank, BLOCKED)),
    "TensorFlow depthwise": (USUAL, INTERLEAVED, lambda bank: np.moveaxis(bank.reshape(16, 3, 3, 3), (2, 3), (0, 1))),
    "Flax, 16 groups": (USUAL, INTERLEAVED, lambda bank: np.moveaxis(bank, 0, -1)[:, :, None]),
    "Flax, full": (USUAL, INTERLEAVED, lambda bank: np.moveaxis(full(bank, INTERLEAVED), (0, 1), (3, 2))),
}


@pytest.mark.parametrize("kinds", [USUAL, [IDENTITY, SOBEL_Y / 8, SOBEL_X / 8], ODD, [IDENTITY, SOBEL_X, SOBEL_Y]])
@pytest.mark.parametrize("name", CASES)
def test_a_model_with_its_filters_adds_what_its_own_code_would_add(tmp_path: Path, name: str, kinds: list[np.ndarray]) -> None:
    """Whatever the order of filters, their arrangement and their size: the imported network is the file's."""
    _, channels, stored = CASES[name]
    arrays = files.layers(8)
    triple = np.stack(kinds)
    bank = np.tile(triple, (16, 1, 1)) if channels is INTERLEAVED else np.repeat(triple, 16, axis=0)
    read = weights.read(saved(tmp_path, {**files.pytorch(arrays), "perceive.weight": stored(bank).astype(np.float32)}))
    assert read.axes_known
    assert read.layout == ("interleaved" if channels is INTERLEAVED else "blocked")
    states = np.random.default_rng(0).standard_normal((6, 7, 16)).astype(np.float32)
    expected = network_of_the_file(arrays, perceived_by(states, bank, channels))
    np.testing.assert_allclose(network(to_model(read, read.layout), perceive(states)), expected, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("grouped", [False, True])
def test_two_sobels_behind_the_state_itself_are_understood(tmp_path: Path, grouped: bool) -> None:
    """torch.cat([x, conv(x)]), the convolution in 16 groups of two, or of x repeated twice."""
    arrays = files.layers(8)
    pair = np.stack([SOBEL_X, SOBEL_Y])
    bank = np.tile(pair, (16, 1, 1)) if grouped else np.repeat(pair, 16, axis=0)
    channels = np.arange(32) // 2 if grouped else np.arange(32) % 16
    read = weights.read(saved(tmp_path, {**files.pytorch(arrays), "sobel": bank[:, None]}))
    states = np.random.default_rng(0).standard_normal((6, 7, 16)).astype(np.float32)
    expected = network_of_the_file(arrays, np.concatenate([states, perceived_by(states, bank, channels)], -1))
    assert read.layout == "blocked"
    np.testing.assert_allclose(network(to_model(read, "blocked"), perceive(states)), expected, atol=2e-4, rtol=1e-4)
    assert "8 times the article's" in read.notes[0]


@pytest.mark.parametrize("shape", [(3, 3), (1, 1, 3, 3), (16, 1, 3, 3), (3, 3, 16, 1)])
def test_filters_one_by_one_tell_their_size_and_leave_the_order_open(tmp_path: Path, shape: tuple[int, ...]) -> None:
    arrays = files.layers(8)

    def stored(one: np.ndarray) -> np.ndarray:
        return np.broadcast_to(one[:, :, None, None], shape) if shape == (3, 3, 16, 1) else np.broadcast_to(one, shape)

    read = weights.read(saved(tmp_path, {**files.pytorch(arrays), "sobel_x": stored(SOBEL_X), "sobel_y": stored(SOBEL_Y)}))
    assert (read.layout, read.axes_known) == (None, False)
    model = to_model(read, "blocked")
    np.testing.assert_array_equal(model.w1[:16], arrays["w1"][:16])
    np.testing.assert_array_equal(model.w1[16:], arrays["w1"][16:] * 8)


def test_three_filters_for_all_channels_tell_their_order_and_not_the_layout(tmp_path: Path) -> None:
    stored = np.stack([IDENTITY, SOBEL_Y / 8, SOBEL_X / 8])[:, None]
    read = weights.read(saved(tmp_path, {**files.pytorch(files.layers()), "filters": stored}))
    assert (read.layout, read.axes_known) == (None, True)
    assert [kind for kind, _ in read.filters] == [0, 2, 1]


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (np.stack([IDENTITY, SOBEL_X / 8, SOBEL_Y / 8, LAPLACIAN]), "'perceive' .* looks like a Laplacian"),
        (np.random.default_rng(0).standard_normal((48, 1, 3, 3)), r"'perceive' \[48, 1, 3, 3\], which holds other filters.*learned"),
        (np.random.default_rng(0).standard_normal((48, 16, 3, 3)), "learned"),
        (np.zeros((3, 3)), "all zeros"),
        (np.full((3, 3), np.nan), "other filters"),
        (np.stack([IDENTITY, SOBEL_X, SOBEL_X]), "expected each of identity, Sobel x and Sobel y once"),
        (np.stack([SOBEL_X, SOBEL_X * 2]), "of different size, 8 and 16 times"),
        (np.tile(np.stack([IDENTITY, SOBEL_X, SOBEL_Y]), (16, 1, 1))[np.random.default_rng(0).permutation(48)], "neither blocked nor"),
    ],
)
def test_other_filters_are_refused_by_name(tmp_path: Path, stored: np.ndarray, message: str) -> None:
    path = saved(tmp_path, {**files.pytorch(files.layers()), "perceive": stored.astype(np.float32)})
    with pytest.raises(NcaHwError, match=message) as caught:
        weights.read(path)
    assert "--tensors" in (caught.value.cure or "")
    stated = {"w1": "fc0.weight", "b1": "fc0.bias", "w2": "fc1.weight", "b2": "fc1.bias"}
    assert weights.read(path, stated).filters == weights.USUAL_FILTERS


@pytest.mark.parametrize("names", ["a b c d", "enc.w enc.b dec.w dec.b", "w_1 b_1 w_2 b_2", "2/k 2/b 9/k 9/b"])
@pytest.mark.parametrize("in_out", [False, True])
@pytest.mark.parametrize("hidden", [2, 48, 64])
def test_layers_are_found_whatever_their_names(tmp_path: Path, names: str, in_out: bool, hidden: int) -> None:
    arrays = files.layers(hidden)
    stored = [arrays["w1"], arrays["b1"], arrays["w2"], arrays["b2"]]
    turned = [array if in_out else array.T for array in stored]
    read = weights.read(saved(tmp_path, dict(zip(names.split(), turned, strict=True))))
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(read, name), array)


def test_biases_of_one_size_go_to_the_layers_they_are_named_like(tmp_path: Path) -> None:
    arrays = files.layers(16)
    read = weights.read(saved(tmp_path, {"l1/k": arrays["w1"], "l2/b": arrays["b2"], "l2/k": arrays["w2"], "l1/b": arrays["b1"]}))
    np.testing.assert_array_equal(read.b1, arrays["b1"])
    np.testing.assert_array_equal(read.b2, arrays["b2"])


def test_layers_without_biases_have_zeros(tmp_path: Path) -> None:
    arrays = files.layers(8)
    read = weights.read(saved(tmp_path, {"k": arrays["w1"], "l": arrays["w2"]}))
    assert not read.b1.any()
    assert not read.b2.any()


def test_a_choice_is_told_with_names_and_shapes_and_decided_by_the_user(tmp_path: Path) -> None:
    arrays, average = files.layers(8), files.layers(8, seed=1)
    path = saved(tmp_path, {**files.pytorch(arrays), **{f"ema.{name}": array for name, array in files.pytorch(average).items()}})
    with pytest.raises(NcaHwError, match=r"more than one choice of layers: 'ema\.fc0\.weight' \[8, 48, 1, 1\], .*'fc1\.weight'") as caught:
        weights.read(path)
    assert "--tensors" in (caught.value.cure or "")
    read = weights.read(path, {"w1": "ema.fc0.weight", "b1": "ema.fc0.bias", "w2": "ema.fc1.weight", "b2": "ema.fc1.bias"})
    np.testing.assert_array_equal(read.w1, average["w1"])
    np.testing.assert_array_equal(read.b2, average["b2"])


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"w1": "fc0.weigth", "w2": "fc1.weight"}, r"no array 'fc0\.weigth'(.|\n)*Did you mean 'fc0\.weight'"),
        ({"w9": "fc0.weight"}, "there is no 'w9'; known are w1, b1, w2, b2, filters"),
        ({"w1": "fc0.weight"}, "lacks w2"),
        ({"w1": "fc1.weight", "w2": "fc0.weight"}, r"w1 is \[16, 8, 1, 1\], expected \[48, H\]"),
        ({"w1": "fc0.weight", "w2": "fc1.weight", "b1": "fc1.bias"}, r"b1 is \[16\], expected \[8\]"),
    ],
)
def test_a_wrong_word_about_the_arrays_is_told(tmp_path: Path, stated: dict[str, str], message: str) -> None:
    with pytest.raises(NcaHwError, match=message):
        weights.read(saved(tmp_path, files.pytorch(files.layers(8))), stated)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"middle.weight": np.zeros((8, 8))}, r"more arrays of the layers' sizes .*'middle\.weight' \[8, 8\]"),
        ({"norm.weight": np.zeros(16)}, r"more arrays of the layers' sizes|choice for the bias"),
        ({"fc0.weight_g": np.zeros((48, 8))}, "more than one choice|more arrays"),
    ],
)
def test_a_third_layer_is_not_left_out_in_silence(tmp_path: Path, more: files.Arrays, message: str) -> None:
    with pytest.raises(NcaHwError, match=message):
        weights.read(saved(tmp_path, {**files.pytorch(files.layers(8)), **{k: v.astype(np.float32) for k, v in more.items()}}))


def test_what_cannot_be_of_the_model_is_left_aside(tmp_path: Path) -> None:
    arrays = files.layers(8)
    more = {"pool": np.zeros((64, 40, 40, 16), np.float32), "step": np.float32([7]), "target": np.zeros((40, 40, 4), np.float32)}
    read = weights.read(saved(tmp_path, {**files.pytorch(arrays), **more}))
    np.testing.assert_array_equal(read.w1, arrays["w1"])


def test_hidden_layers_of_257_units_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NcaHwError, match=r"H from 1 to 256; found fc0\.weight \[257, 48, 1, 1\]"):
        weights.read(saved(tmp_path, files.pytorch(files.layers(257))))
