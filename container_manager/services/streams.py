"""A file on its way: counted and summed as it is read, and whose fault it is when it cannot be."""

from __future__ import annotations

import hashlib
import io
from typing import Any

from container_manager.exceptions import ExecutorError, StorageUnavailableError


class CountedStream(io.RawIOBase):
    """
    Reads ``source`` once, from its beginning to its end, in whatever pieces are asked for.

    What the source raises comes out as ``StorageUnavailableError`` naming ``what``.
    """

    def __init__(self, source: Any, what: str) -> None:
        super().__init__()
        self._source, self._what = source, what
        self._sum = hashlib.sha256()
        self.count = 0

    @property
    def sha256(self) -> str:
        return self._sum.hexdigest()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            data: bytes = self._source.read(size) if size >= 0 else self._source.read()
        except ExecutorError:
            raise
        except Exception as error:
            # Any library may be under it, and its errors must not be taken for the engine's.
            raise StorageUnavailableError(f"{self._what} cannot be read: {type(error).__name__}: {error}") from error
        self.count += len(data)
        self._sum.update(data)
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        # Storages rewind what they are given before they read it.
        if (offset, whence) != (0, io.SEEK_SET) or self.count:
            raise io.UnsupportedOperation("a stream is read once")
        return 0

    def tell(self) -> int:
        return self.count
