"""Programs of other makers, while they run and when they are stopped."""

from __future__ import annotations

from pathlib import Path

from stand_ins import wait_until

from nca_hw.flash import tools


def runs(pid: int) -> bool:
    """Whether a process does anything still; one that is dead may wait for its parent to hear of it (state Z)."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_that_is_stopped_takes_its_children_along() -> None:
    """As a script that starts avrdude."""
    ran = tools.run(["sh", "-c", "sleep 30 & echo $!; wait"], 20, lambda said: "gone" if said.endswith("\n") else None)
    assert (ran.code, ran.stopped) == (None, "gone")
    wait_until(lambda: not runs(int(ran.said)), 5)
