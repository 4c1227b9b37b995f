"""
The output of an execution, without loss or repetition, from a cursor.

The engine stores output as entries of at most 16 KiB and stamps each with nanoseconds. Within one stream the
stamps never go back, but the streams overlap: all pieces of one long line have the stamp of its first. So the
cursor has, for each stream, the last stamp and how many entries with that stamp were taken. A step back of the
engine's clock can hide output; nothing in its interface tells. An engine with one order over both streams has
coarse stamps, so there both are read as one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Self

from docker import APIClient
from requests import Response
from urllib3.exceptions import ProtocolError

from container_manager.exceptions import ExecutorError
from container_manager.executors.docker.client import Engine, stream
from container_manager.specs import LogBatch, LogEntry, Stream

HEADER: Final = struct.Struct(">BxxxL")
STREAMS: Final = {1: Stream.STDOUT, 2: Stream.STDERR}
PIECE_BYTES: Final = 1 << 16
ENTRY_BYTES: Final = 64
"""What an entry counts beside its data, so that a million empty lines stay within the limit too."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Mark:
    """The last stamp of a stream, in nanoseconds, and how many of its entries with that stamp were taken."""

    at: int = 0
    taken: int = 0

    def after(self, at: int) -> Mark:
        if at == self.at:
            return Mark(at, self.taken + 1)
        return Mark(at, 1) if at > self.at else self


@dataclass(frozen=True, slots=True)
class Cursor:
    stdout: Mark = Mark()
    stderr: Mark = Mark()

    @classmethod
    def parse(cls, text: str) -> Self:
        """``ValueError`` for what ``str`` did not write."""
        if not text:
            return cls()
        out, err = (Mark(*map(int, mark.split(":", 1))) for mark in text.split(",", 1))
        return cls(out, err)

    def __str__(self) -> str:
        return f"{self.stdout.at}:{self.stdout.taken},{self.stderr.at}:{self.stderr.taken}"

    def of(self, name: Stream) -> Mark:
        return self.stdout if name is Stream.STDOUT else self.stderr

    def after(self, name: Stream, at: int) -> Cursor:
        if name is Stream.STDOUT:
            return Cursor(self.stdout.after(at), self.stderr)
        return Cursor(self.stdout, self.stderr.after(at))


@dataclass(frozen=True, slots=True)
class Piece:
    stream: Stream
    at: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Pass:
    """One answer of the engine, up to a limit. ``is_cut``: it had more."""

    pieces: list[Piece]
    is_cut: bool


def read_logs(engine: Engine, container: str, since: str, limit_bytes: int) -> LogBatch:
    """What ``Executor.logs`` promises. Holds about twice ``limit_bytes`` in memory at most."""
    try:
        cursor = Cursor.parse(since)
    except ValueError as error:
        raise ExecutorError(f"{since!r} is no cursor that this executor gave.") from error
    with engine.calling(f"read the output of {container}") as client:
        if not since or engine.dialect.has_ordered_output:
            both = _read(client, container, tuple(Stream), cursor, limit_bytes)
            return _batch(both.pieces, both.is_cut, cursor, limit_bytes)
        # One stream at a time: the engine can skip to one stamp, and a quiet stream's is far behind a busy one's.
        passes = [_read(client, container, (name,), cursor, limit_bytes) for name in Stream]
    pieces = sorted((piece for one in passes for piece in one.pieces), key=lambda piece: piece.at)
    ends = [one.pieces[-1].at for one in passes if one.is_cut]
    if ends:
        # What lies behind the end of a cut pass waits for that stream's next entries.
        pieces = [piece for piece in pieces if piece.at <= min(ends)]
    return _batch(pieces, bool(ends), cursor, limit_bytes)


def _batch(pieces: Sequence[Piece], is_cut: bool, cursor: Cursor, limit_bytes: int) -> LogBatch:
    entries: list[LogEntry] = []
    size = 0
    for piece in pieces:
        if size >= limit_bytes and entries:
            is_cut = True
            break
        cursor = cursor.after(piece.stream, piece.at)
        size += len(piece.data) + ENTRY_BYTES
        if piece.data:
            entries.append(LogEntry(piece.stream, piece.data, EPOCH + timedelta(microseconds=piece.at // 1000)))
    return LogBatch(tuple(entries), str(cursor), has_more=is_cut)


def _read(client: APIClient, container: str, names: Sequence[Stream], cursor: Cursor, limit_bytes: int) -> Pass:
    begin = max(cursor.of(name).at for name in names)
    # Some engines give what is at that moment, some only what is after it.
    since = max(0, begin - 1)
    params = {name.value: int(name in names) for name in Stream} | {
        "timestamps": 1,
        "since": f"{since // 1_000_000_000}.{since % 1_000_000_000:09d}",
    }
    repeated = {name: cursor.of(name).taken for name in names}
    pieces: list[Piece] = []
    size = 0
    with stream(client, "GET", f"/containers/{container}/logs", params) as response:
        for piece in _pieces(response):
            if piece.at < begin:
                continue
            if piece.at == cursor.of(piece.stream).at and repeated[piece.stream]:
                repeated[piece.stream] -= 1
                continue
            if size >= limit_bytes and pieces:
                return Pass(pieces, is_cut=True)
            pieces.append(piece)
            size += len(piece.data) + ENTRY_BYTES
    return Pass(pieces, is_cut=False)


def _pieces(response: Response) -> Iterator[Piece]:
    for kind, frame in _frames(response):
        if kind not in STREAMS:
            raise ProtocolError(f"the engine cannot read its own log: {frame[:500].decode(errors='replace')}")
        stamp, _, data = frame.partition(b" ")
        yield Piece(STREAMS[kind], _nanoseconds(stamp.decode("ascii")), data)


def _frames(response: Response) -> Iterator[tuple[int, bytes]]:
    buffer = bytearray()
    for received in response.iter_content(PIECE_BYTES):
        buffer += received
        start = 0
        while len(buffer) - start >= HEADER.size:
            kind, length = HEADER.unpack_from(buffer, start)
            end = start + HEADER.size + length
            if len(buffer) < end:
                break
            yield kind, bytes(buffer[start + HEADER.size : end])
            start = end
        del buffer[:start]
    if buffer:
        raise ProtocolError("the engine's answer ends within an entry")


def _nanoseconds(stamp: str) -> int:
    """``stamp`` (RFC 3339, up to nine decimals, any offset) since 1970. ``ValueError`` when it is none."""
    rest = stamp[19:]
    zone = rest.lstrip(".0123456789")
    digits = rest[1 : len(rest) - len(zone)]
    return _seconds(stamp[:19] + zone) * 1_000_000_000 + int(digits.ljust(9, "0") or 0)


@lru_cache(maxsize=256)
def _seconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp())
