"""The platform of this project: one board, one image. It downloads nothing and tells nobody.

PlatformIO fetches one tool of its own from its registry, SCons under the name tool-scons, before it builds anything. The same SCons
comes with pip; where it is installed beside PlatformIO it is put in that place, once.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import requests
from platformio import __registry_mirror_hosts__, telemetry
from platformio.dependencies import get_core_dependencies
from platformio.exception import UserSideException
from platformio.package.manager.core import get_core_package_dir
from platformio.platform.base import PlatformBase
from semantic_version import SimpleSpec, Version

TOOL = "tool-scons"
REACHABLE_WITHIN = 3.0  # seconds for the registry to answer
RUN_SCONS = '''"""SCons as pip installed it."""
import SCons.Script

SCons.Script.Main.main()
'''


def be_quiet() -> None:
    """No telemetry and no look for upgrades in runs of this project, whatever the settings; what was collected so far is dropped."""
    os.environ["PLATFORMIO_SETTING_ENABLE_TELEMETRY"] = "no"
    os.environ["PLATFORMIO_DISABLE_UPGRADE_CHECK"] = "true"
    logger = telemetry.TelemetryLogger()
    logger.terminate_sender()
    logger.get_unsent_events = list


def provide_scons(packages: str) -> None:
    """Put tool-scons into PlatformIO's folder of packages if it is not there.

    Raises:
        UserSideException: it is not there, not installed with pip, and the registry does not answer.
    """
    if get_core_package_dir(TOOL, auto_install=False):
        return
    wanted = get_core_dependencies()[TOOL]
    if importlib.util.find_spec("SCons") is not None:
        version = tool_version(metadata.version("scons"))
        if Version(version) in SimpleSpec(wanted):
            install(Path(packages), version)
            return
    if not registry_answers():
        raise UserSideException(
            f"PlatformIO needs SCons ({TOOL} {wanted}): it is not in {packages}, not among the packages of this Python, and "
            f"PlatformIO's registry does not answer.\n  {sys.executable} -m pip install scons=={pip_version(wanted)}"
        )


def tool_version(pip: str) -> str:
    """Of PlatformIO's package, from that of pip's: 4.11.1 is 4.41101.0."""
    major, minor, patch = (int(part) for part in pip.split(".")[:3])
    return f"4.{major}{minor:02d}{patch:02d}.0"


def pip_version(wanted: str) -> str:
    """The other way round: ~4.41101.0 is 4.11.1."""
    digits = wanted.lstrip("~^=").split(".")[1]
    return f"{digits[:-4]}.{int(digits[-4:-2])}.{int(digits[-2:])}"


def install(packages: Path, version: str) -> None:
    """Write the package whole or not at all; another run may do the same meanwhile."""
    packages.mkdir(parents=True, exist_ok=True)
    about = {"name": TOOL, "version": version, "description": "SCons as pip installed it"}
    spec = {"owner": "platformio", "name": TOOL, "requirements": None, "uri": None}
    owned = {"type": "tool", "name": TOOL, "version": version, "spec": spec}
    with tempfile.TemporaryDirectory(dir=packages.parent, prefix="nca-hw-") as folder:
        whole = Path(folder) / TOOL
        whole.mkdir()
        (whole / "scons.py").write_text(RUN_SCONS)
        (whole / "package.json").write_text(json.dumps(about))
        (whole / ".piopm").write_text(json.dumps(owned))
        try:
            whole.rename(packages / TOOL)
        except OSError:
            if not (packages / TOOL / "scons.py").is_file():
                raise


def registry_answers() -> bool:
    """Whether one of the registry's hosts can be reached at all, by the way that PlatformIO would take."""
    for host in __registry_mirror_hosts__:
        try:
            requests.head(f"https://api.{host}", timeout=REACHABLE_WITHIN)
            return True
        except requests.RequestException:
            continue
    return False


class NcahwPlatform(PlatformBase):
    """PlatformIO asks for it before it asks for SCons."""

    def __init__(self, manifest_path: str) -> None:
        super().__init__(manifest_path)
        be_quiet()
        provide_scons(self.config.get("platformio", "packages_dir"))
