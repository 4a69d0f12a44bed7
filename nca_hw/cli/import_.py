"""`nca-hw import`: published weights to a float model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import rich_click as click

from nca_hw.cli import common


class TensorsType(click.ParamType[dict[str, str]]):
    """`w1=NAME,b1=NAME,w2=NAME,b2=NAME`: the file's names for the model's arrays."""

    name = "w1=NAME,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, str]:
        """Words to names."""
        if isinstance(value, dict):
            return value
        pairs = [part.partition("=") for part in value.split(",")]
        wrong = next((role for role, sign, name in pairs if not (role.strip() and sign and name.strip())), None)
        if wrong is not None or len({role.strip() for role, _, _ in pairs}) < len(pairs):
            self.fail(f"{value!r} is not one NAME for each of the arrays. Write w1=NAME,b1=NAME,w2=NAME,b2=NAME.", param, ctx)
        return {role.strip(): name.strip() for role, _, name in pairs}


@click.command(cls=common.Command, short_help="Published weights of any common format to a float model.")
@click.argument("source", type=common.FILE, metavar="SRC")
@click.option("-o", "--output", type=common.FILE, required=True, help="The float model to write, .npz.")
@click.option(
    "--layout", type=click.Choice(["auto", "blocked", "interleaved"]), default="auto", show_default=True,
    help="Order of the 48 perception values; auto grows the model in both orders and takes the one that stands.",
)  # fmt: skip
@click.option(
    "--axes", type=click.Choice(["auto", "xy", "yx"]), default="auto", show_default=True,
    help="Whether Sobel x comes before Sobel y; auto lets the file's filters or --target decide, and takes xy without them.",
)  # fmt: skip
@click.option("--target", type=common.FILE, help="The picture it grows, with transparency: the order that grows it best is taken.")
@click.option("--tensors", type=TensorsType(), help="The file's names for w1, b1, w2, b2 and filters, where their shapes leave a choice.")
@common.json_option
def command(
    source: Path, output: Path, layout: str, axes: str, target: Path | None, tensors: dict[str, str] | None, as_json: bool
) -> None:
    """Read published weights and write a float model in blocked order."""
    from nca_hw.core.layout import Undecided, find_order, to_model
    from nca_hw.errors import NcaHwError
    from nca_hw.formats import weights
    from nca_hw.formats.picture import load_picture

    picture = None if target is None else load_picture(target)
    raw = weights.read(source, tensors)
    try:
        order = find_order(raw, layout, axes, picture)
    except Undecided as error:
        drawn = ", ".join(map(str, _draw(output, error)))
        raise NcaHwError(f"{error.what}. Pictures: {drawn}", where=source, cure=f"Look at them. {error.cure}") from None
    model = to_model(raw, order.layout, order.axes)
    weights.write(output, replace(raw, w1=model.w1, layout="blocked", filters=weights.USUAL_FILTERS))
    if as_json:
        common.emit("import", {"source": str(source), "format": raw.format, "sha256": raw.sha256, "layout": order.layout,
                               "axes": order.axes, "evidence": order.told, "tensors": raw.tensors, "notes": list(raw.notes),
                               "hidden": int(model.b1.size), "output": str(output)})  # fmt: skip
        return
    grown = "; ".join(f"{name} {fate}" for name, fate in order.told.items()) or "stated"
    rows = [("format", raw.format), ("shape", f"48 -> {model.b1.size} -> 16")]
    rows += [("perception order", f"{order.layout}, {order.axes} ({grown})")]
    rows += [(role, name) for role, name in raw.tensors.items()] + [("note", note) for note in raw.notes]
    common.table([*rows, ("written", output)])


def _draw(output: Path, error: Any) -> list[Path]:
    """A picture of what each candidate grew, beside the output."""
    import io

    from nca_hw.core.layout import names
    from nca_hw.formats.files import write_whole
    from nca_hw.report import led

    paths = []
    for name, growth in zip(names(error.evidence), error.evidence, strict=True):
        buffer = io.BytesIO()
        led.picture(growth.rgba).save(buffer, "PNG")
        paths.append(output.with_name(f"{output.stem}-{name}.png"))
        write_whole(paths[-1], buffer.getvalue())
    return paths
