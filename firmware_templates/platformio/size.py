"""The size tool that PlatformIO calls: bytes of an image by what they are, one a line."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from nca_hw_image.firmware.steps import Project

print("\n".join(Project(Path(__file__).parents[1] / "project.json").sizes(Path(sys.argv[1]))))
