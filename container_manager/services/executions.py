"""Executors of hosts, and the specification of one attempt."""

from __future__ import annotations

import json
from functools import lru_cache

from container_manager import conf, registry, telemetry
from container_manager.exceptions import SpecificationError
from container_manager.executors import Executor, executor_class
from container_manager.executors.limits import refusals
from container_manager.masking import Masker
from container_manager.models import ContainerJob, ExecutorHost, Installation
from container_manager.ownership import Claim
from container_manager.secret_references import Secrets, resolve_all
from container_manager.specs import Handle, JobSpec, execution_name, place
from container_manager.validation import argument_list, image_problems


def executor_for(host: ExecutorHost, installation: str) -> Executor:
    """
    The executor of ``host``; one per process for the same options.

    ``ConfigurationError`` when its type is unknown or its library is missing.
    """
    return _executor(host.executor_type, json.dumps(host.options, sort_keys=True), installation)


@lru_cache(maxsize=64)
def _executor(executor_type: str, options: str, installation: str) -> Executor:
    return executor_class(executor_type)(json.loads(options), installation=installation)


def installation_id(using: str) -> str:
    return Installation.current(using).identifier


def handle_of(claim: Claim, installation: str) -> Handle:
    return Handle(execution_name(installation, claim.job.pk, claim.number))


def image_of(job: ContainerJob) -> str:
    """The image that ``job`` runs; empty when neither it nor the settings name one."""
    return str(job.image or conf.get("DEFAULT_IMAGE"))


def build_spec(claim: Claim, installation: str, executor: Executor) -> JobSpec:
    """
    What the executor is told: the job's columns, resolved.

    ``ValueError`` for a command that cannot be split, ``SpecificationError`` for a definition that is gone and
    for an image that is not allowed, ``SecretError``. The claim hides the job's secrets from here on.
    """
    job = claim.job
    shared = job.environment_template.environment if job.environment_template else {}
    environment = {**telemetry.variables(job.trace_context), **shared, **job.environment}
    _refuse(job, executor)
    if problems := refusals({"timeout_seconds": job.timeout_seconds}, claim.host.options):
        raise SpecificationError(f"{problems['timeout_seconds']}.")
    secrets = resolve_all(job.secrets) if job.secrets else Secrets()
    if job.secrets:
        claim.masker = Masker(secrets.values)
    folders = executor.folders(execution_name(installation, job.pk, claim.number))
    has_files = bool(job.definition) and folders is not None
    places = folders.variables() if folders is not None and (has_files or secrets.files) else {}
    if job.shell:
        command: tuple[str, ...] = ("/bin/sh", "-c", job.command)
    else:
        command = argument_list(job.command)
    if job.definition:
        command = tuple(place(argument, folders) for argument in command)
        environment = {name: place(value, folders) for name, value in environment.items()}
    return JobSpec(
        installation=installation,
        job_id=job.pk,
        attempt=claim.number,
        image=image_of(job),
        command=command,
        entrypoint=argument_list(job.entrypoint),
        environment={**environment, **places},
        working_directory=job.working_directory,
        memory_limit=job.memory_limit,
        cpu_limit=job.cpu_limit,
        user=job.user,
        network=job.network,
        gpus=job.gpus,
        timeout_seconds=claim.timeout_seconds,
        user_labels=job.labels,
        has_files=has_files,
        secret_files=secrets.files,
        secret_environment=secrets.environment,
    )


def _refuse(job: ContainerJob, executor: Executor) -> None:
    """The last look before anything is made: settings and code may have changed since the job was queued."""
    if job.definition and not registry.is_known(job.definition):
        raise SpecificationError(
            f"There is no job definition {job.definition!r} any more: "
            "it was removed or renamed since the job was queued."
        )
    if executor.supports_images:
        problems = image_problems(image_of(job), conf.get("IMAGES"))
        if problems:
            raise SpecificationError(problems[0])
    if job.file_plan and not executor.supports_files:
        raise SpecificationError("This host's executor takes no files, and the job has some: queue it elsewhere.")
