"""The order of perception values, and which axis is x: found by growing, by a target, by the file, or asked for with the evidence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nca_hw.core.layout import Undecided, find_layout, find_order, names, to_model
from nca_hw.core.quantize import quantize
from nca_hw.formats import weights
from nca_hw.formats.picture import load_picture

NAMES = ["ex2_pretzel", "ex3_eye", "ex3_lizard", "ex2_web", "ex3_ladybug"]


def interleaved(blocked: weights.Weights) -> weights.Weights:
    return replace(blocked, w1=np.ascontiguousarray(blocked.w1.reshape(3, 16, -1).transpose(1, 0, 2).reshape(48, -1)))


def swapped(blocked: weights.Weights) -> weights.Weights:
    """The same model written down by somebody who has Sobel y first."""
    return replace(blocked, w1=np.concatenate([blocked.w1[:16], blocked.w1[32:], blocked.w1[16:32]]))


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_perception_values_is_found_by_growing(published: Path, name: str) -> None:
    blocked = weights.read(published / f"{name}.json")
    assert find_layout(blocked)[0] == "blocked"
    assert find_layout(interleaved(blocked))[0] == "interleaved"
    np.testing.assert_array_equal(to_model(interleaved(blocked), "interleaved").w1, blocked.w1)


@pytest.mark.parametrize("name", ["ex3_lizard", "ex3_fish"])
def test_a_target_tells_swapped_axes_which_growing_cannot(published: Path, name: str) -> None:
    blocked = weights.read(published / f"{name}.json")
    target = load_picture(published / f"target_{name.split('_')[1]}.png")
    for given, axes in ((blocked, "xy"), (swapped(blocked), "yx")):
        assert find_order(given).axes == "xy"  # without a target, nothing tells
        order = find_order(given, target=target)
        assert (order.layout, order.axes) == ("blocked", axes)
        np.testing.assert_array_equal(to_model(given, order.layout, order.axes).w1, blocked.w1)
    assert find_order(interleaved(swapped(blocked)), target=target).axes == "yx"


def test_the_loss_is_that_of_the_published_picture(published: Path) -> None:
    given = weights.read(published / "planarian_float" / "8000.index")
    order = find_order(given, target=load_picture(published / "target_planarian.png"))
    losses = {name: growth.loss for name, growth in zip(names(order.evidence), order.evidence, strict=True)}
    assert (order.layout, order.axes) == ("interleaved", "xy")
    assert losses["interleaved-xy"] is not None and losses["interleaved-xy"] < 0.0006
    assert losses["interleaved-yx"] is not None and losses["interleaved-yx"] > 0.02


def test_the_float_planarian_quantizes(published: Path) -> None:
    given = weights.read(published / "planarian_float" / "8000.json")
    genome = quantize(to_model(given, find_layout(given)[0]))
    assert genome.w1.shape == (48, 128)


def test_a_picture_that_the_model_does_not_grow_is_no_evidence(published: Path) -> None:
    with pytest.raises(Undecided, match="no order of perception values grows the target: blocked-xy stands, loss"):
        find_order(weights.read(published / "ex3_lizard.json"), target=load_picture(published / "target_web.png"))


def test_what_the_user_or_the_file_states_is_not_grown(published: Path) -> None:
    given = weights.read(published / "ex3_eye.json")
    assert find_order(given, "interleaved", "yx").evidence == ()
    assert find_order(replace(given, layout="interleaved", axes_known=True), target=np.ones((4, 4, 4), np.float32)).layout == "interleaved"
    assert find_order(replace(given, layout="interleaved"), "blocked").layout == "blocked"  # the user's word above the file's
    assert find_order(given, axes="yx").axes == "yx"


def test_an_order_that_growing_cannot_tell_is_asked_for_with_the_evidence() -> None:
    nothing = weights.Weights(
        np.zeros((48, 8), np.float32), np.zeros(8, np.float32), np.zeros((8, 16), np.float32), np.zeros(16, np.float32), None, "npz", ""
    )
    with pytest.raises(Undecided, match="--layout") as caught:
        find_layout(nothing)
    assert names(caught.value.evidence) == ["blocked", "interleaved"]
    assert all(growth.rgba.shape == (72, 72, 4) for growth in caught.value.evidence)


def test_weights_that_overflow_explode_without_a_warning() -> None:
    huge = weights.Weights(
        np.full((48, 8), 3e38, np.float32), np.zeros(8, np.float32), np.full((8, 16), 3e38, np.float32), np.zeros(16, np.float32), None,
        "npz", "",
    )  # fmt: skip
    with pytest.raises(Undecided, match="blocked exploded at step 0"):
        find_layout(huge)
