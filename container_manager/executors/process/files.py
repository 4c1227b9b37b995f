"""The private folders of a local execution."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from container_manager.exceptions import InputFileError
from container_manager.specs import Folders

PIECE: Final = 1 << 18


def folders_in(path: Path) -> Folders:
    return Folders(input=f"{path}/files/input", output=f"{path}/files/output", secrets=f"{path}/files/secrets")


def put_files(folders: Folders, files: Iterable[tuple[str, BinaryIO, int]], secrets: Mapping[str, str]) -> None:
    """The folders are there, new, with the files and the secrets in them."""
    for folder in (folders.input, folders.output, folders.secrets):
        shutil.rmtree(folder, ignore_errors=True)
        Path(folder).mkdir(mode=0o700, parents=True)
    for path, content, size in files:
        target = Path(folders.input, path)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with target.open("xb") as file:
            shutil.copyfileobj(content, file, PIECE)
            if file.tell() != size:
                raise InputFileError(f"The input file {path} has {file.tell()} bytes, not {size} as it said.")
    for name, secret in secrets.items():
        descriptor = os.open(Path(folders.secrets, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "w") as file:
            file.write(secret)


def get_files(folders: Folders, paths: Iterable[str]) -> Iterator[tuple[str, BinaryIO, int]]:
    """Those of ``paths`` that are regular files in the output folder: a link out of it is none."""
    root = os.path.realpath(folders.output)
    for path in paths:
        found = os.path.realpath(os.path.join(root, path))
        if not found.startswith(f"{root}/") or not os.path.isfile(found):
            continue
        with open(found, "rb") as file:
            yield path, file, os.fstat(file.fileno()).st_size
