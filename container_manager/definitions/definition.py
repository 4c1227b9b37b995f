"""A job, declared: what runs, its limits, and its parameters as form fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms

from container_manager import batches, intake
from container_manager.definitions import parameters as given_parameters
from container_manager.definitions import placeholders
from container_manager.definitions.declaring import DefinitionType
from container_manager.definitions.files import InputFile, OutputFile, StoredInput, input_plan, output_plan
from container_manager.exceptions import JobValidationError
from container_manager.models import ContainerJob, JobBatch
from container_manager.models.file import discard_copies
from container_manager.models.job_queryset import JobQuerySet
from container_manager.specs import escape_folders
from container_manager.validation import argument_list


class JobDefinition(metaclass=DefinitionType):
    """
    The base of job definitions.

    ::

        class Transcode(JobDefinition):
            image = "registry.example.com/ffmpeg:7.1"
            command = ["ffmpeg", "-vf", "scale=-2:{height}", "in.mov", "out.mp4"]
            queue, memory_limit, timeout_seconds = "media", 2048, 3600
            height = forms.IntegerField(min_value=144, max_value=2160, initial=720)

        job = Transcode.queue(height=480, priority=80)

    Form fields are the parameters: ``{height}`` in the command or in the environment becomes its value,
    within one argument, never through a shell. A parameter that is not given is its field's ``initial``. ``name``
    is the class's in snake_case unless it says another. ``abstract = True`` makes a base for others.
    A definition that is wrong raises ``ConfigurationError`` when its class is made.
    """

    name: ClassVar[str]
    options: ClassVar[Mapping[str, Any]]
    fields: ClassVar[Mapping[str, forms.Field]]
    outputs: ClassVar[Mapping[str, OutputFile]]

    @classmethod
    def clean(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        """
        ``parameters``, each of them valid, judged together; what is returned is used.

        For a definition to override. ``ValidationError``, best as ``{parameter: message}``, refuses them.
        """
        return parameters

    @classmethod
    def build(
        cls,
        *,
        name: str = "",
        priority: int | None = None,
        tenant: str = "",
        unique_key: str | None = None,
        **parameters: Any,
    ) -> ContainerJob:
        """
        A new job, not saved: for ``queue_manager.queue_job``, and to change before.

        ``name``: how lists show it; default: the definition's. ``JobValidationError`` has one list
        of messages per parameter that is unknown, missing or wrong.
        """
        cleaned = given_parameters.clean(cls.fields, parameters, cls.clean)
        files = {key: value for key, value in cleaned.items() if isinstance(cls.fields[key], InputFile)}
        stored = given_parameters.stored(cls.fields, {key: cleaned[key] for key in cls.fields if key not in files})
        job = ContainerJob(name=name or cls.name, definition=cls.name, tenant=tenant, unique_key=unique_key)
        # Last, when nothing can be wrong any more: it may copy files.
        inputs = cls._store_inputs(files)
        plans = {key: input_plan(key, found) for key, found in inputs.items()}
        for column, value in cls._columns(cls._placeholders(stored, plans)).items():
            setattr(job, column, value)
        if priority is not None:
            job.priority = priority
        job.parameters = stored | {key: {"storage": found.storage, "name": found.name} for key, found in inputs.items()}
        if plans or cls.outputs:
            job.file_plan = {"inputs": plans, "outputs": {key: output_plan(out) for key, out in cls.outputs.items()}}
        return job

    if TYPE_CHECKING:
        # Definitions say `queue = "media"` and are told `.queue(...)`: to a type checker it is anything.
        queue: ClassVar[Any]
    else:

        @classmethod
        def queue(
            cls,
            *,
            schedule_for: datetime | None = None,
            on_conflict: intake.OnConflict = "raise",
            **arguments: Any,
        ) -> ContainerJob:
            """
            A new job is in the queue, in the caller's transaction: one INSERT of the row.

            ``schedule_for`` (aware): not before then. ``on_conflict`` is ``queue_job``'s: the job that holds the
            ``unique_key`` may be returned, or replaced. The other ``arguments`` are ``build``'s, the errors those
            of ``build`` and of ``queue_manager.queue_job``.
            """
            using = JobQuerySet(ContainerJob).write_alias
            job = cls.build(**arguments)
            queued = None
            try:
                queued = intake.queue_one(job, schedule_for=schedule_for, on_conflict=on_conflict, using=using)
            finally:
                if queued is not job:
                    discard_copies(job, using)
            return queued

    @classmethod
    def queue_many(
        cls,
        parameters: Iterable[Mapping[str, Any]],
        *,
        batch_name: str = "",
        max_running: int | None = None,
        on_complete: batches.OnComplete = "",
        **shared: Any,
    ) -> JobBatch:
        """
        One job for each of ``parameters``, all of them in the queue, or none; they are one batch.

        ``shared`` are arguments of ``build`` for all, which each may override. The rest is
        ``queue_manager.queue_batch``'s. ``JobValidationError`` says which of them is wrong.
        """
        jobs = []
        for position, given in enumerate(parameters):
            try:
                jobs.append(cls.build(**{**shared, **given}))
            except JobValidationError as error:
                raise JobValidationError({**error.message_dict, "job": [f"This is number {position}."]}) from error
        using = JobQuerySet(ContainerJob).write_alias
        return batches.queue_batch(
            jobs, using=using, name=batch_name or cls.name, max_running=max_running, on_complete=on_complete
        )

    @classmethod
    def form(cls, *arguments: Any, **options: Any) -> forms.Form:
        """
        A Django form of the parameters, with ``clean`` as its own; made with what ``forms.Form`` takes.

        Once it is valid: ``queue(**form.cleaned_data)``.
        """
        form_class: type[forms.Form] = type(
            f"{cls.__name__}Form", (_ParameterForm,), {**cls.fields, "_definition": cls}
        )
        return form_class(*arguments, **options)

    @classmethod
    def _store_inputs(cls, files: Mapping[str, Any]) -> dict[str, StoredInput]:
        stored: dict[str, StoredInput] = {}
        for name, found in files.items():
            field = cls.fields[name]
            if found is not None and isinstance(field, InputFile):
                stored[name] = field.store(found)
        return stored

    @classmethod
    def _placeholders(cls, stored: Mapping[str, Any], inputs: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        """What each placeholder stands for. Where the folders are is known at the launch: it depends on the host."""
        values = {name: escape_folders(placeholders.as_text(stored.get(name))) for name in cls.fields}
        values |= {name: f"$(CM_INPUT_DIR)/{plan['path']}" for name, plan in inputs.items()}
        return values | {name: f"$(CM_OUTPUT_DIR)/{output.path}" for name, output in cls.outputs.items()}

    @classmethod
    def _columns(cls, values: Mapping[str, str]) -> dict[str, Any]:
        columns = dict(cls.options)
        for name in ("command", "entrypoint"):
            if name in columns and not columns.get("shell"):
                # Split first: a value is never split, whatever it holds.
                columns[name] = [placeholders.fill(argument, values) for argument in argument_list(columns[name])]
        for name in ("environment", "labels", "secrets"):
            if name in columns:
                columns[name] = dict(columns[name])
        if "environment" in columns:
            columns["environment"] = {
                key: placeholders.fill(value, values) for key, value in columns["environment"].items()
            }
        return columns


class _ParameterForm(forms.Form):
    _definition: ClassVar[type[JobDefinition]]

    def clean(self) -> dict[str, Any]:
        cleaned = dict(self.cleaned_data)
        return cleaned if self.errors else self._definition.clean(cleaned)
