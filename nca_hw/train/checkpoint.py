"""Checkpoints: one .npz of plain arrays and JSON that holds a whole training run, and a CSV of its losses. No pickles."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nca_hw.core.model import FloatModel
from nca_hw.errors import NcaHwError
from nca_hw.formats.files import make_folder, write_whole
from nca_hw.train.judge import Verdict
from nca_hw.train.outcome import Best
from nca_hw.train.settings import TrainSettings

if TYPE_CHECKING:
    from nca_hw.train.loop import Trainer

FILE = "checkpoint.npz"
LOSSES = "losses.csv"
FORMAT = 5
MAY_DIFFER = ("threads", "checkpoint_every")  # settings a resumed run may change


def prepare(folder: Path, resume: bool) -> None:
    """Make the folder, and see that nothing in it is overwritten or missing.

    Raises:
        NcaHwError: the folder holds a checkpoint and `resume` is false, or holds none and `resume` is true.
    """
    make_folder(folder)
    path = folder / FILE
    if resume and not path.is_file():
        raise NcaHwError("holds no checkpoint to resume from", where=folder, cure="Start the run without --resume.")
    if not resume and path.exists():
        raise NcaHwError("holds a checkpoint already", where=folder, cure="Go on with --resume, or choose an empty folder.")


def save(trainer: Trainer, folder: Path) -> None:
    """Write the checkpoint and the losses, each whole or not at all."""
    arrays: dict[str, Any] = {"pool": trainer.pool, "losses": np.asarray(trainer.losses, np.float64)}
    for name, weights in trainer.weights.items():
        arrays |= {name: weights, f"{name}.mean": trainer.adam.mean[name], f"{name}.square": trainer.adam.square[name],
                   f"mean.{name}": trainer.mean[name]}  # fmt: skip
    best = trainer.best
    if best is not None:
        arrays |= {f"best.{name}": weights for name, weights in vars(best.model).items()}
    header = {
        "format": FORMAT, "settings": dataclasses.asdict(trainer.settings), "picture": _digest(trainer), "step": trainer.step,
        "s1": trainer.s1, "integer": trainer.integer, "random": trainer.rng.bit_generator.state,
        "best": None if best is None else {"step": best.step, "s1": best.s1, "verdict": dataclasses.asdict(best.verdict)},
    }  # fmt: skip
    out = io.BytesIO()
    np.savez_compressed(out, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays)
    write_whole(folder / FILE, out.getvalue())
    lines = ["step,loss", *(f"{step},{loss:.6g}" for step, loss in enumerate(trainer.losses, 1))]
    write_whole(folder / LOSSES, ("\n".join(lines) + "\n").encode())


def load(trainer: Trainer, folder: Path) -> None:
    """Put a saved run into `trainer`, made with the same settings and picture.

    Raises:
        NcaHwError: the checkpoint is damaged, or is of another picture or of other settings.
    """
    path = folder / FILE
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays["header"].tobytes())
        _compare(header, trainer, path)
        for name, weights in trainer.weights.items():
            weights[...], trainer.mean[name][...] = arrays[name], arrays[f"mean.{name}"]
            trainer.adam.mean[name][...], trainer.adam.square[name][...] = arrays[f"{name}.mean"], arrays[f"{name}.square"]
        trainer.adam.steps = header["step"]
        trainer.pool, trainer.losses = arrays["pool"], arrays["losses"].tolist()
        trainer.step, trainer.s1, trainer.integer = header["step"], header["s1"], header["integer"]
        trainer.rng.bit_generator.state = header["random"]
        if (best := header["best"]) is not None:
            model = FloatModel(**{name: arrays[f"best.{name}"] for name in trainer.weights})
            trainer.best = Best(best["step"], Verdict(**best["verdict"]), model, best["s1"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise NcaHwError(f"is damaged ({error})", where=path, cure="Start again without --resume in an empty folder.") from None


def _compare(header: dict[str, Any], trainer: Trainer, path: Path) -> None:
    if header["format"] != FORMAT:
        raise NcaHwError(f"has checkpoint format {header['format']}, this nca-hw reads {FORMAT}", where=path, cure="Start the run anew.")
    if header["picture"] != _digest(trainer):
        raise NcaHwError("is a checkpoint of another picture", where=path, cure="Name the picture it was started with.")
    now = json.loads(json.dumps(dataclasses.asdict(trainer.settings)))
    for field in dataclasses.fields(TrainSettings):
        was = header["settings"].get(field.name)
        if field.name not in MAY_DIFFER and was != now[field.name]:
            raise NcaHwError(
                f"was started with {field.name} {was}, not {now[field.name]}", where=path, cure=f"Resume with {field.name} {was}."
            )


def _digest(trainer: Trainer) -> str:
    return hashlib.sha256(trainer.picture.tobytes()).hexdigest()
