"""
Pin the development environment: ``make lock`` writes requirements/*.txt from pyproject.toml.

Run it with the oldest supported Python and pip-tools installed; the pins then hold for newer ones too.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = (
    "--quiet",
    "--no-header",
    "--annotation-style=line",
    "--strip-extras",
    "--no-emit-index-url",
    "--no-emit-trusted-host",
    "--no-emit-find-links",
    "--no-emit-options",
    "--allow-unsafe",
)


def development_requirements(pyproject: dict[str, Any]) -> list[str]:
    """What the package needs, and the group ``dev``, with its reference to the package's own extras resolved."""
    project = pyproject["project"]
    found = list(project["dependencies"])
    for line in pyproject["dependency-groups"]["dev"]:
        requirement = Requirement(line)
        if requirement.name == project["name"]:
            found += [needed for extra in requirement.extras for needed in project["optional-dependencies"][extra]]
        else:
            found.append(line)
    return found


def pin(requirements: list[str], target: Path) -> None:
    """``target`` holds the newest versions that satisfy ``requirements``, and all that they need."""
    target.unlink(missing_ok=True)  # pip-compile would keep the old pins
    command = [sys.executable, "-m", "piptools", "compile", *OPTIONS, f"--output-file={target}", "-"]
    subprocess.run(command, input="\n".join(requirements), text=True, check=True, cwd=ROOT)
    pins = target.read_text().replace("via -r -", "via pyproject.toml")
    target.write_text(f"# Written by `make lock` from pyproject.toml. Do not edit.\n{pins}")


if __name__ == "__main__":
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pin(development_requirements(pyproject), ROOT / "requirements" / "dev.txt")
    pin(pyproject["project"]["optional-dependencies"]["mysql"], ROOT / "requirements" / "mysql.txt")
