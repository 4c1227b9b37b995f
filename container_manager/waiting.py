"""Why a job is not running: one line, from its row and the hosts' and workers'."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db.models import Count, Q
from django.utils import timezone

from container_manager import conf, lanes
from container_manager import hosts as host_rows
from container_manager.capacity import Room, above_maximum
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt, JobEvent, Worker
from container_manager.models.job_queryset import JobQuerySet
from container_manager.states import Hold, Status, Verb

_COUNTED = 10_000
_START_ONE = "start one, 'manage.py containers worker'."


def why_it_waits(job: ContainerJob, using: str) -> str:
    """What keeps ``job`` from running and what to do about it; empty when it runs or has ended. Only reads."""
    if job.status == Status.PENDING:
        return "It is not in the queue: queue it."
    if job.status == Status.LAUNCHING:
        return f"It is being launched, attempt {job.attempt}.{_latest_note(job, using)}"
    if job.status != Status.QUEUED:
        return ""
    # Past its moment a hold keeps nobody waiting: the next worker ends it.
    is_over = job.hold_until is not None and job.hold_until <= timezone.now()
    if job.hold and not is_over:
        return _why_limited(job, using) if job.hold == Hold.LIMIT else _why_held(job)
    return _why_no_worker_takes_it(job, using) or _place(job, using)


def _latest_note(job: ContainerJob, using: str) -> str:
    """How far the pull of its image has come, for example."""
    notes = JobEvent.objects.using(using).filter(job_id=job.pk, attempt=job.attempt, verb=Verb.NOTE)
    message = notes.order_by("-id").values_list("message", flat=True).first()
    return f" {message}" if message else ""


def _why_held(job: ContainerJob) -> str:
    until = f"{timezone.localtime(job.hold_until):%Y-%m-%d %H:%M:%S %Z}" if job.hold_until else ""
    if job.hold == Hold.SCHEDULE:
        return f"It is scheduled for {until}."
    if job.hold == Hold.EXHAUSTED:
        used = f"its {job.max_retries} launches have failed" if job.max_retries else "max_retries is 0"
        return f"It has no launch left: {used}. Raise max_retries, or dequeue it."
    if job.hold == Hold.BACKOFF:
        error = "" if job.error in job.hold_reason else f" {job.error}"
        return f"It is tried again at {until}. {job.hold_reason}{error}"
    return job.hold_reason or f"It is held: {Hold(job.hold).label}."


def _why_limited(job: ContainerJob, using: str) -> str:
    limits = lanes.limits_of(job.queue, job.tenant, job.definition, job.batch)
    taken = lanes.counts([lane for lane, _ in limits], using)
    for lane, limit in limits:
        if limit is not None and taken[lane] >= limit:
            return f"The limit of {lane} is reached: {taken[lane]} of {limit} are on their way."
    return _why_no_worker_takes_it(job, using) or f"It waits for the turn of tenant {job.tenant!r}."


def _why_no_worker_takes_it(job: ContainerJob, using: str) -> str:
    rows = list(ExecutorHost.objects.using(using).all())
    usable = [host for host in rows if not host.is_embedded] or rows
    workers = list(Worker.objects.using(using).alive().filter(kind=Worker.Kind.WORKER))
    if not workers and not usable and conf.is_process_executor_allowed():
        return f"No worker runs: {_START_ONE}"
    serving = host_rows.serving(usable, job.queue)
    if not serving:
        return host_rows.why_no_host(using, job.queue, host_rows.node_name())
    active = [host for host in serving if host.is_active]
    if not active:
        return f"Every host of queue {job.queue!r} is drained: {_names(serving)}."
    if not workers:
        return f"No worker runs: {_START_ONE}"
    healthy = [host for host in active if not host.health_error]
    if not healthy:
        return f"No host of queue {job.queue!r} is healthy: {active[0].name}: {active[0].health_error}"
    reached = [host for host in healthy if any(host.pk in worker.hosts for worker in workers)]
    if not reached:
        where = ", ".join(sorted({host.node for host in healthy if host.node}))
        on = f" on {where}" if where else ""
        return f"No live worker serves the hosts of queue {job.queue!r} ({_names(healthy)}){on}: {_START_ONE}"
    return _why_no_room(job, reached, workers, using)


def _why_no_room(job: ContainerJob, hosts: Sequence[ExecutorHost], workers: Collection[Worker], using: str) -> str:
    rooms = [(host, Room.on(host, using)) for host in hosts]
    if not any(room.fits(job) for _, room in rooms):
        full = "; ".join(
            _what_is_short(job, host) if room.slots > 0
            else f"all {host.max_concurrent_jobs} slots of {host.name} are taken"
            for host, room in rooms
        )  # fmt: skip
        return f"No host of queue {job.queue!r} has room now: {full}."
    near = [worker for worker in workers if any(host.pk in worker.hosts for host in hosts)]
    open_attempts = JobAttempt.objects.using(using).filter(
        active_job__isnull=False, worker__in=[worker.pk for worker in near]
    )
    in_hand = dict(open_attempts.values_list("worker").annotate(count=Count("pk")).order_by())
    if all(worker.concurrency is not None and in_hand.get(worker.pk, 0) >= worker.concurrency for worker in near):
        return "The workers of its hosts have as many jobs as they take (--concurrency): start another, or wait."
    return ""


def _what_is_short(job: ContainerJob, host: ExecutorHost) -> str:
    problems = "; ".join(above_maximum(job, host.options).values())
    return f"{host.name}: {problems}" if problems else f"{host.name} has too little CPU or memory left"


def _place(job: ContainerJob, using: str) -> str:
    ready = JobQuerySet(ContainerJob, using=using).filter(queue=job.queue, status=Status.QUEUED, hold=Hold.NONE)
    first = Q(priority__gt=job.priority) | Q(priority=job.priority, queued_at__lt=job.queued_at)
    count = ready.filter(first).order_by().values("pk")[: _COUNTED + 1].count()
    if count == 0:
        return "It is next; a worker that serves its queue takes it within its poll interval."
    number = f"More than {_COUNTED:,}" if count > _COUNTED else f"{count:,}"
    return f"{number} {'job is' if count == 1 else 'jobs are'} ahead of it in queue {job.queue!r}."


def _names(hosts: Sequence[ExecutorHost]) -> str:
    return ", ".join(host.name for host in hosts)
