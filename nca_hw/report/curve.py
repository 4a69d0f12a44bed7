"""The loss curve of a run, with its faults marked."""

from __future__ import annotations

import io
from collections.abc import Sequence


def loss_curve(updates: Sequence[float], losses: Sequence[float], faults: Sequence[tuple[float, float | None]]) -> bytes:
    """SVG of pattern loss over time.

    Args:
        updates: time of every sample in mean updates. losses: pattern loss of every sample.
        faults: (strike, restart) of every fault in mean updates; restart is None where cells stay dead.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    with plt.rc_context({"svg.hashsalt": "nca-hw", "svg.fonttype": "none"}):
        figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
        axes.semilogy(updates, losses, color="#2a8a3c", linewidth=1.2)
        for strike, restart in faults:
            axes.axvline(strike, color="#b03030", linewidth=0.8)
            if restart is not None:
                axes.axvspan(strike, restart, color="#b03030", alpha=0.25, linewidth=0)
        axes.set_xlabel("time in mean updates of a cell")
        axes.set_ylabel("pattern loss")
        axes.grid(alpha=0.3)
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
        plt.close(figure)
    return out.getvalue()
