"""Stored files of pruned jobs go before the rows that name them, in a thread that a storage may keep waiting."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final
from uuid import UUID

from container_manager.models import JobFile
from container_manager.models.file import OWN_FOLDER, delete_contents, owned_contents

WAIT_SECONDS: Final = 10.0


class Leftovers:
    """Deletes what this package stored for jobs. Safe with any number of workers: deleting twice is no error."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._pool: ThreadPoolExecutor | None = None
        self._deleting: Future[set[tuple[str, str]]] | None = None

    def delete(self, job_ids: Collection[UUID]) -> set[UUID]:
        """Those of ``job_ids`` whose files are gone, so that their rows may go too; the others wait."""
        return self._without(job_ids, self._delete(owned_contents(job_ids, self._using)))

    def delete_files(self, rows: Sequence[JobFile]) -> list[JobFile]:
        """Those of ``rows``, which no other job has, whose files are gone."""
        contents: defaultdict[str, list[str]] = defaultdict(list)
        for row in rows:
            contents[row.storage].append(row.stored_name)
        left = self._delete(contents)
        return [row for row in rows if (row.storage, row.stored_name) not in left]

    def _delete(self, contents: Mapping[str, Collection[str]]) -> set[tuple[str, str]]:
        """What is still there, as far as is known by now."""
        if not contents:
            return set()
        everything = {(alias, name) for alias, names in contents.items() for name in names}
        if self._deleting is not None and not self._deleting.done():
            return everything
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="leftovers")
        self._deleting = self._pool.submit(delete_contents, contents)
        try:
            return self._deleting.result(WAIT_SECONDS)
        except TimeoutError:
            return everything

    def _without(self, job_ids: Collection[UUID], left: set[tuple[str, str]]) -> set[UUID]:
        if not left:
            return set(job_ids)
        rows = JobFile.objects.using(self._using).filter(job_id__in=job_ids, stored_name__startswith=OWN_FOLDER)
        waiting = {
            job_id for job_id, storage, name in rows.values_list("job_id", "storage", "stored_name")
            if (storage, name) in left
        }  # fmt: skip
        return set(job_ids) - waiting
