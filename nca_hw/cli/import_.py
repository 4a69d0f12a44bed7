"""`nca-hw import`: published weights to a float model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import rich_click as click

from nca_hw.cli import common


@click.command(cls=common.Command, short_help="Published weights of a known format to a float model.")
@click.argument("source", type=common.FILE, metavar="SRC")
@click.option("-o", "--output", type=common.FILE, required=True, help="The float model to write, .npz.")
@click.option(
    "--layout", type=click.Choice(["auto", "blocked", "interleaved"]), default="auto", show_default=True,
    help="Order of the 48 perception values; auto grows the model in both orders and takes the one that stands.",
)  # fmt: skip
@common.json_option
def command(source: Path, output: Path, layout: str, as_json: bool) -> None:
    """Read published weights and write a float model in blocked order."""
    from nca_hw.core.layout import find_layout, to_model
    from nca_hw.errors import NcaHwError
    from nca_hw.formats import weights

    raw = weights.read(source)
    try:
        found, evidence = find_layout(raw, layout)
    except NcaHwError as error:
        raise NcaHwError(error.what, where=source, cure=error.cure) from None
    model = to_model(raw, found)
    weights.write(output, replace(raw, w1=model.w1, layout="blocked", filters=weights.USUAL_FILTERS))
    told = {growth.layout: growth.fate + (f" at step {growth.end}" if growth.end is not None else "") for growth in evidence}
    if as_json:
        common.emit("import", {"source": str(source), "format": raw.format, "sha256": raw.sha256, "layout": found, "evidence": told,
                               "hidden": int(model.b1.size), "output": str(output)})  # fmt: skip
        return
    grown = "; ".join(f"{name} {fate}" for name, fate in told.items()) or "stated"
    common.table([("format", raw.format), ("shape", f"48 -> {model.b1.size} -> 16"), ("perception order", f"{found} ({grown})"),
                  ("written", output)])  # fmt: skip
