"""Files as a tar stream, made and read piece by piece: no more than a piece is ever in memory."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, cast

from container_manager.exceptions import InputFileError

PIECE: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Member:
    """A file of ``size`` bytes, or a folder when there is no ``content``."""

    path: str
    mode: int
    content: BinaryIO | None = None
    size: int = 0


def pack(members: Iterable[Member]) -> Iterator[bytes]:
    """
    ``members`` as one archive, owned by root.

    ``InputFileError`` when a content ends before its size; what was given out then is no whole archive.
    """
    for member in members:
        info = tarfile.TarInfo(member.path)
        info.mode, info.size = member.mode, member.size
        info.type = tarfile.DIRTYPE if member.content is None else tarfile.REGTYPE
        yield info.tobuf(tarfile.PAX_FORMAT)
        if member.content is not None:
            yield from _pieces(member.path, member.content, member.size)
            yield bytes(-member.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _pieces(path: str, content: BinaryIO, size: int) -> Iterator[bytes]:
    left = size
    while left:
        piece = content.read(min(left, PIECE))
        if not piece:
            raise InputFileError(f"The input file {path} ended {left} bytes before its size of {size}.")
        left -= len(piece)
        yield piece


def first_file(stream: Any) -> Iterator[tuple[BinaryIO, int]]:
    """The first member of the archive that ``stream`` reads, and its size, if it is a regular file."""
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        member = archive.next()
        content = archive.extractfile(member) if member is not None and member.isfile() else None
        if member is not None and content is not None:
            yield cast(BinaryIO, content), member.size
