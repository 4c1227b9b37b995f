"""Why a job is not running: one line, from its row and the hosts' and workers'."""

from __future__ import annotations

from django.utils import timezone

from container_manager import hosts as host_rows
from container_manager.capacity import Room
from container_manager.models import ContainerJob, ExecutorHost, Worker
from container_manager.models.job_queryset import JobQuerySet
from container_manager.states import Hold, Status


def why_it_waits(job: ContainerJob, using: str) -> str:
    """What keeps ``job`` from running and what to do about it; empty when it runs or has ended."""
    if job.status == Status.PENDING:
        return "It is not in the queue: queue it."
    if job.status == Status.LAUNCHING:
        return f"It is being launched, attempt {job.attempt}."
    if job.status != Status.QUEUED:
        return ""
    if job.hold == Hold.SCHEDULE:
        return f"It is scheduled for {job.hold_until:%Y-%m-%d %H:%M:%S} UTC."
    if job.hold == Hold.EXHAUSTED:
        return f"It has no launch left: max_retries is {job.max_retries}. Raise it, or dequeue the job."
    if job.hold:
        return job.hold_reason or f"It is held: {Hold(job.hold).label}."
    return _why_no_host_takes_it(job, using) or _place(job, using)


def _why_no_host_takes_it(job: ContainerJob, using: str) -> str:
    serving = host_rows.serving(list(ExecutorHost.objects.using(using).all()), job.queue)
    if not serving:
        return host_rows.why_no_host(using, job.queue, host_rows.node_name())
    names = ", ".join(host.name for host in serving)
    active = [host for host in serving if host.is_active]
    if not active:
        return f"Every host of queue {job.queue!r} is drained: {names}."
    now = timezone.now()
    healthy = [host for host in active if host.retry_at is None or host.retry_at <= now]
    if not healthy:
        return f"No host of queue {job.queue!r} is healthy: {active[0].name}: {active[0].health_error}"
    served = {host_id for worker in Worker.objects.using(using).alive() for host_id in worker.hosts}
    if not any(host.pk in served for host in healthy):
        return f"No live worker serves the hosts of queue {job.queue!r} ({names}): start one, 'containers worker'."
    if not any(Room.on(host, using).fits(job) for host in healthy):
        return f"The hosts of queue {job.queue!r} have no room now: {names}."
    return ""


def _place(job: ContainerJob, using: str) -> str:
    ready = JobQuerySet(ContainerJob, using=using).filter(queue=job.queue, status=Status.QUEUED, hold=Hold.NONE)
    ahead = ready.filter(priority__gt=job.priority) | ready.filter(priority=job.priority, queued_at__lt=job.queued_at)
    count = ahead.order_by()[:10_001].count()
    if count == 0:
        return "It is next; a worker takes it within its poll interval."
    number = "more than 10,000" if count > 10_000 else str(count)
    return f"{number} {'job is' if count == 1 else 'jobs are'} ahead of it in queue {job.queue!r}."
