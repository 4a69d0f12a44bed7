"""What `pio run` does here: the one command line of `nca-hw build`, the same last touches on the image, the same budgets.

A cell is compiled and linked as a whole (the optimizer looks across files), so a change of any source builds all of it, in about a second.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from SCons.Script import ARGUMENTS, COMMAND_LINE_TARGETS, AlwaysBuild, Default, DefaultEnvironment

env = DefaultEnvironment()
platform = Path(env.PioPlatform().get_dir())
sys.path.insert(0, str(platform / "builder"))

from nca_hw_image.errors import NcaHwError, ToolMissing  # noqa: E402
from nca_hw_image.firmware.steps import LINKED, Project  # noqa: E402

project = Project(platform / "project.json")
src, tests, out = (Path(env.subst(name)) for name in ("$PROJECT_SRC_DIR", "$PROJECT_TEST_DIR", "$BUILD_DIR"))


def step(function: Callable[[], object], told: str, command: str = "") -> Any:
    """A step as SCons wants it: what it returns is told, its error is one message and a failed build."""
    is_verbose = bool(int(ARGUMENTS.get("PIOVERBOSE", 0)))

    def act(target: Any, source: Any, env: Any) -> int:
        try:
            said = function()
        except NcaHwError as error:
            sys.stderr.write(f"error: {error}\n")
            return int(error.exit_code)
        if said:
            print(said)
        return 0

    return env.Action(act, f"{told}\n{command}" if command and is_verbose else told)


def files(*folders: Path) -> list[str]:
    """All of them, by which SCons sees what has changed; those of the platform too."""
    found = [path for folder in (*folders, platform) for path in folder.rglob("*") if path.is_file()]
    return sorted(str(path) for path in found if "__pycache__" not in path.parts)


def limits() -> dict[str, int]:
    """Of the board file, as platformio.ini may have changed them."""
    board = env.BoardConfig()
    names = {"rom": "upload.maximum_size", "ram": "upload.maximum_ram_size", "flash": "nca_hw.flash", "cell_ram": "nca_hw.cell_ram"}
    return {limit: int(board.get(name)) for limit, name in names.items()}


def sizes() -> str:
    """The table of `pio run -t size`."""
    bounds = ", ".join(f"{name} {limit}" for name, limit in sorted(limits().items()))
    return "\n".join([*project.sizes(out / project.outputs[0]), f"limits: {bounds}"])


def upload() -> None:
    """By the command that knows all chips."""
    program = shutil.which("nca-hw", path=str(Path(sys.executable).parent)) or shutil.which("nca-hw")
    if program is None or subprocess.run([program, "flash", "--help"], capture_output=True, check=False).returncode != 0:
        told = f"'nca-hw flash', which uploads, is not installed; the image is {out / project.outputs[-1]}"
        raise ToolMissing(told, cure=f"{sys.executable} -m pip install --upgrade nca-hw")
    words = project.flash_words(Path(env.subst("$PROJECT_DIR")), out, env.subst("$UPLOAD_PORT"))
    done = subprocess.run([program, *words], check=False)
    if done.returncode != 0:
        raise NcaHwError(f"'nca-hw flash' has failed, with exit code {done.returncode}")


env.Append(CPPPATH=[str(src)])  # for editors
if "BOARD" not in env or "__test" in COMMAND_LINE_TARGETS:
    env.Replace(PROGNAME="program", PROGSUFFIX="")
    compiled = step(
        lambda: project.compile_self_test(src, tests, out / "program"), "Compiling the cell's self-test for this computer",
        project.command_line(project.facts["self_test"], "program"),
    )  # fmt: skip
    Default(env.Alias("buildprog", env.Command(str(out / "program"), files(src, tests), compiled)))
else:
    env.Replace(
        PROGNAME="firmware", PROGSUFFIX=".elf", SIZETOOL="nca-hw", SIZEPROGREGEXP=r"^ROM\s+(\d+)", SIZEDATAREGEXP=r"^static RAM\s+(\d+)",
        SIZECHECKCMD=["$PYTHONEXE", str(platform / "builder" / "size.py"), "$SOURCES"],
    )  # fmt: skip
    names = [str(out / name) for name in project.outputs]
    if "nobuild" in COMMAND_LINE_TARGETS:
        image = [env.File(name) for name in names]
    else:
        command = project.command_line(project.facts, LINKED)
        image = env.Command(names, files(src), step(lambda: project.compile_image(src, out), "Compiling and linking the image", command))
    check = step(lambda: project.check(out / project.outputs[0], limits()), "Checking budgets")
    AlwaysBuild(env.Alias("checkprogsize", image[0], [check, env.VerboseAction(env.CheckUploadSize, "Checking size")]))
    env.AddPlatformTarget("size", image[0], step(sizes, "Sizes"), "Program Size", "Where the bytes go")
    env.AddPlatformTarget("upload", image, step(upload, "Flashing"), "Upload")
    Default([env.Alias("buildprog", image), "checkprogsize"])
