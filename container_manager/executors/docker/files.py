"""Files in and out of a container through the engine's archive calls: they work with an engine on any machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from typing import BinaryIO, Final

from docker.errors import APIError

from container_manager.executors.archive import Member, first_file, pack
from container_manager.executors.docker.client import Engine, stream
from container_manager.specs import Folders

ROOT: Final = "/cm"
SECRETS: Final = "/run/secrets"
FOLDERS: Final = Folders(input=f"{ROOT}/input", output=f"{ROOT}/output", secrets=SECRETS)


def volumes(*, has_files: bool, has_secrets: bool) -> dict[str, dict[str, str]]:
    """
    The anonymous volumes that a container needs; the engine removes them with it.

    Volumes and not the container's own layer, which may be read-only, nor memory, which a container that
    is not running has none of: it could be neither filled before the start nor read after the end.
    """
    wanted = {ROOT: has_files, SECRETS: has_secrets}
    return {path: {} for path, is_wanted in wanted.items() if is_wanted}


def put_files(engine: Engine, container: str, files: Iterable[tuple[str, BinaryIO, int]]) -> None:
    """The folders are there, the output folder open to any user, and the files are in the input folder."""
    members = _input_members(files)
    with engine.calling(f"put files into {container}") as client:
        client.put_archive(container, ROOT, pack(members))


def put_secrets(engine: Engine, container: str, secrets: Mapping[str, str]) -> None:
    """Each secret is a file that any user of the container can read."""
    contents = {name: secret.encode() for name, secret in secrets.items()}
    members = [Member(name, 0o444, BytesIO(content), len(content)) for name, content in contents.items()]
    with engine.calling(f"put secrets into {container}") as client:
        client.put_archive(container, SECRETS, pack(members))


def get_files(engine: Engine, container: str, paths: Iterable[str]) -> Iterator[tuple[str, BinaryIO, int]]:
    """Those of ``paths`` that are regular files in the output folder, one at a time."""
    for path in paths:
        with engine.calling(f"get the file {path} out of {container}") as client:
            try:
                response = stream(
                    client,
                    "GET",
                    f"/containers/{container}/archive",
                    {"path": f"{FOLDERS.output}/{path}"},
                    headers={"Accept-Encoding": "identity"},
                )
            except APIError as error:
                if error.status_code == 404 and "no such container" not in str(error.explanation).lower():
                    continue
                raise
            with response:
                for content, size in first_file(response.raw):
                    yield path, content, size


def _input_members(files: Iterable[tuple[str, BinaryIO, int]]) -> Iterator[Member]:
    yield Member("input", 0o755)
    yield Member("output", 0o777)
    known = set()
    for path, content, size in files:
        folder = path.rpartition("/")[0]
        if folder and folder not in known:
            known.add(folder)
            yield Member(f"input/{folder}", 0o755)
        yield Member(f"input/{path}", 0o644, content, size)
