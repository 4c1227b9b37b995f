"""Exact limits: counters of jobs on their way, moved together with their places under one lock."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connections, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from container_manager import conf
from container_manager.models import ContainerJob, JobBatch, Lane, Place
from container_manager.states import ACTIVE, Hold, Status
from container_manager.wakeup import ARRIVALS, notify

LOCK: Final = "lock"
_TURN: Final = "turn:"
_REMEMBERED: Final = timedelta(hours=1)
"""How long an empty lane is kept: it says who was served last."""
_ON_ITS_WAY: Final = Q(status__in=ACTIVE) | Q(status=Status.QUEUED, hold=Hold.NONE)
"""Limited jobs that have a place."""


class LimitOf(NamedTuple):
    """One lane of a job and how many may be in it; ``None`` = any number."""

    lane: str
    limit: int | None


def limits_of(queue: str, tenant: str, definition: str, batch: JobBatch | None) -> list[LimitOf]:
    """The lanes in which a job with these columns counts, by the settings as they are now."""
    limits = []
    if tenant:
        limits.append(LimitOf(turn_lane(queue, tenant), None))
        limits.append(LimitOf(f"tenant:{tenant}", conf.limit_of("tenant", tenant)))
    if definition and (limit := conf.limit_of("definition", definition)) is not None:
        limits.append(LimitOf(f"definition:{definition}", limit))
    if batch is not None and batch.max_running is not None:
        limits.append(LimitOf(f"batch:{batch.pk}", batch.max_running))
    return limits


def turn_lane(queue: str, tenant: str) -> str:
    """The lane that counts a tenant's jobs of one queue, for turns; it limits nothing."""
    return f"{_TURN}{queue}:{tenant}"


@contextmanager
def locked(using: str) -> Iterator[None]:
    """A transaction in which nobody else moves places. Its first statement is a write, so SQLite is locked too."""
    with transaction.atomic(using=using):
        lock = Lane.objects.using(using).filter(pk=LOCK)
        if not lock.update(running=0):
            Lane.objects.using(using).bulk_create([Lane(pk=LOCK, name=LOCK)], ignore_conflicts=True)
            lock.update(running=0)
        yield


def counts(names: Collection[str], using: str) -> Counter[str]:
    """How many places are taken in each lane."""
    rows = Lane.objects.using(using).filter(pk__in=[_key(name) for name in names])
    return Counter(dict(rows.values_list("name", "running")))


def served(names: Collection[str], using: str) -> dict[str, datetime]:
    """When the last place in each lane was given back; those where none was are left out."""
    rows = Lane.objects.using(using).filter(pk__in=[_key(name) for name in names], served_at__isnull=False)
    return {name: at for name, at in rows.values_list("name", "served_at") if at is not None}


def left(using: str) -> QuerySet[Place]:
    """Places that are to be given back."""
    on_its_way = ContainerJob.objects.using(using).filter(_ON_ITS_WAY, pk=OuterRef("pk"))
    return Place.objects.using(using).filter(~Exists(on_its_way))


def release_left(using: str) -> int:
    """Under the lock: places of jobs that have ended, wait again, or are gone, are free; returns how many."""
    places = list(left(using))
    _give_back(places, using)
    if places:
        now = timezone.now()
        names = {lane for place in places for lane in place.lanes}
        rows = Lane.objects.using(using).exclude(pk=LOCK)
        rows.filter(pk__in=[_key(name) for name in names]).update(served_at=now)
        rows.filter(running=0, served_at__lt=now - _REMEMBERED).delete()
    return len(places)


def take(jobs: Mapping[UUID, Sequence[LimitOf]], using: str, *, holds: Collection[Hold] = (Hold.LIMIT,)) -> set[UUID]:
    """Under the lock: those of ``jobs`` that are held by ``holds`` are ready, each with its place; returns which."""
    rows = _lockable(ContainerJob.objects.using(using).filter(pk__in=jobs, status=Status.QUEUED, hold__in=holds))
    found = {pk: (queue, tenant) for pk, queue, tenant in rows.values_list("pk", "queue", "tenant")}
    ContainerJob.objects.using(using).filter(pk__in=found).update(hold=Hold.NONE, hold_until=None, hold_reason="")
    lanes = {pk: [limit.lane for limit in jobs[pk]] for pk in found}
    Place.objects.using(using).bulk_create(
        [Place(job_id=pk, queue=queue, tenant=tenant, lanes=lanes[pk]) for pk, (queue, tenant) in found.items()]
    )
    _add(Counter(lane for names in lanes.values() for lane in names), using)
    notify(using, ARRIVALS, {queue for queue, _ in found.values()})
    return set(found)


def hold_again(job_ids: Collection[UUID], using: str) -> set[UUID]:
    """Under the lock: those of ``job_ids`` that are ready, and not being claimed, wait again; returns which."""
    rows = _lockable(ContainerJob.objects.using(using).filter(pk__in=job_ids, status=Status.QUEUED, hold=Hold.NONE))
    ids = set(rows.values_list("pk", flat=True))
    ContainerJob.objects.using(using).filter(pk__in=ids).update(hold=Hold.LIMIT)
    _give_back(list(Place.objects.using(using).filter(pk__in=ids)), using)
    return ids


def limiting(using: str) -> QuerySet[Lane]:
    """The lanes of tenants, definitions and batches."""
    return Lane.objects.using(using).filter(running__gt=0).exclude(pk=LOCK).exclude(name__startswith=_TURN)


def discrepancies(using: str) -> list[str]:
    """Under the lock, or nearly so: what of counters and places contradicts the jobs; empty = nothing."""
    places = dict(Place.objects.using(using).values_list("pk", "lanes"))
    taken = Counter(lane for lanes in places.values() for lane in lanes)
    lanes = dict(Lane.objects.using(using).exclude(pk=LOCK).values_list("name", "running"))
    wrong = [
        f"{name} counts {lanes.get(name, 0)}, and {taken[name]} places are taken"
        for name in sorted({*taken, *lanes})
        if lanes.get(name, 0) != taken[name]
    ]
    on_their_way = ContainerJob.objects.using(using).filter(_ON_ITS_WAY).exclude(line="").values_list("pk", flat=True)
    return wrong + [f"job {pk} is on its way without a place" for pk in on_their_way if pk not in places]


def repair(using: str) -> list[str]:
    """Counters are what the places say, and every limited job on its way has one; returns what was wrong."""
    with locked(using):
        release_left(using)
        wrong = discrepancies(using)
        homeless = ContainerJob.objects.using(using).filter(_ON_ITS_WAY, place__isnull=True).exclude(line="")
        for job in homeless.select_related("batch"):
            limits = limits_of(job.queue, job.tenant, job.definition, job.batch)
            names = [limit.lane for limit in limits]
            Place.objects.using(using).create(job=job, queue=job.queue, tenant=job.tenant, lanes=names)
        Lane.objects.using(using).exclude(pk=LOCK).delete()
        places = Place.objects.using(using).values_list("lanes", flat=True)
        _add(Counter(lane for names in places for lane in names), using)
    return wrong


def _give_back(places: Iterable[Place], using: str) -> None:
    taken = list(places)
    if not taken:
        return
    Place.objects.using(using).filter(pk__in=[place.pk for place in taken]).delete()
    _add(Counter({lane: -count for lane, count in Counter(lane for p in taken for lane in p.lanes).items()}), using)


def _add(more: Counter[str], using: str) -> None:
    rows = Lane.objects.using(using)
    known = set(rows.filter(pk__in=[_key(name) for name in more]).values_list("pk", flat=True))
    rows.bulk_create([Lane(pk=_key(name), name=name) for name in more if _key(name) not in known])
    for name, count in more.items():
        rows.filter(pk=_key(name)).update(running=F("running") + count)


def _lockable(jobs: QuerySet[Any]) -> QuerySet[Any]:
    """Those that nobody is moving now: whoever holds the lock waits for no job's row."""
    features = connections[jobs.db].features
    if not features.has_select_for_update_skip_locked:
        return jobs
    return jobs.select_for_update(skip_locked=True, no_key=features.has_select_for_no_key_update)


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
