"""Rows as JSON, and bodies as rows. What a job may look like is judged by the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from django.db.models import TextChoices
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from container_manager.bulk import Action
from container_manager.filtering import JobFilter
from container_manager.models import ContainerJob, EnvironmentTemplate, ExecutorHost, JobAttempt, JobEvent, Worker
from container_manager.states import Hold, Outcome, Status, StopReason
from container_manager.validation import LARGEST_INTEGER, QUEUE_NAME

MOST_IDS: Final = 1_000


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
class CommandField(serializers.JSONField):
    """A string, split as a shell would, or a list."""


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class PairsField(serializers.JSONField):
    """An object of strings."""


@extend_schema_field({"type": "object", "additionalProperties": {}})
class ObjectField(serializers.DictField):
    """Any object."""


@extend_schema_field({})
class AnyField(serializers.JSONField):
    """Any JSON value."""


def choice(choices: type[TextChoices]) -> serializers.ChoiceField:
    """One of them, or empty."""
    return serializers.ChoiceField(choices.choices, read_only=True, allow_blank=True)


class RowSerializer(serializers.ModelSerializer):
    """The limits of numbers are the model's, not those of the database that happens to be there."""

    def build_standard_field(self, field_name: str, model_field: Any) -> Any:
        field_class, options = super().build_standard_field(field_name, model_field)
        if "max_value" in options:
            options["max_value"] = min(options["max_value"], LARGEST_INTEGER)
        return field_class, options


class JobSerializer(RowSerializer):
    """A job. ``is_queued``: in the queue and not launched."""

    command = CommandField(read_only=True)
    entrypoint = CommandField(read_only=True)
    environment = PairsField(read_only=True)
    environment_template = serializers.SlugRelatedField("name", read_only=True, allow_null=True)
    labels = PairsField(read_only=True)
    parameters = ObjectField(read_only=True)
    hold = choice(Hold)
    outcome = choice(Outcome)
    result = AnyField(read_only=True)
    is_queued = serializers.BooleanField(read_only=True)

    class Meta:
        model = ContainerJob
        fields = (
            "id", "name", "status", "is_queued", "queue", "priority", "image", "command", "entrypoint", "shell",
            "environment", "environment_template", "working_directory", "user", "network", "gpus", "memory_limit",
            "cpu_limit", "timeout_seconds", "queue_timeout_seconds", "labels", "definition", "parameters",
            "created_at", "queued_at", "scheduled_for", "expires_at", "launched_at", "started_at", "finished_at",
            "cancel_requested_at", "hold", "hold_reason", "attempt", "retry_count", "max_retries", "rescue_count",
            "rerun_count", "infra_rerun_count", "retry_policy", "on_lost", "exit_code", "outcome", "error", "result",
            "progress",
        )  # fmt: skip
        read_only_fields = fields


class JobDetailSerializer(JobSerializer):
    """A job, and why it is not running."""

    waits = serializers.CharField(read_only=True, help_text="Why it is not running and what to do; empty when it is.")

    class Meta:
        model = ContainerJob
        fields = (*JobSerializer.Meta.fields, "waits")
        read_only_fields = fields


class StrictSerializer(serializers.Serializer):
    """A name that is not known is an error, not passed over: a typo must not do something else."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = [name for name in data if name not in self.fields] if isinstance(data, dict) else []
        if unknown:
            known = ", ".join(self.fields)
            raise serializers.ValidationError({name: [f"Unknown; known: {known}."] for name in unknown})
        return super().to_internal_value(data)


class JobWriteSerializer(StrictSerializer, RowSerializer):
    """
    What a job is made of: its own columns, or ``definition`` and ``parameters``.

    ``is_queued``: put it in the queue at once.
    """

    command = CommandField(required=False)
    entrypoint = CommandField(required=False)
    environment = PairsField(required=False)
    environment_template = serializers.SlugRelatedField(
        "name", queryset=EnvironmentTemplate.objects.all(), required=False, allow_null=True
    )
    labels = PairsField(required=False)
    queue = serializers.RegexField(rf"^{QUEUE_NAME.pattern}$", required=False)
    definition = serializers.CharField(required=False, max_length=200)
    parameters = ObjectField(required=False)
    is_queued = serializers.BooleanField(required=False)

    OF_A_DEFINITION: ClassVar = frozenset({
        "definition", "parameters", "name", "priority", "scheduled_for", "is_queued",
    })  # fmt: skip

    class Meta:
        model = ContainerJob
        fields = (
            "name", "image", "command", "entrypoint", "shell", "environment", "environment_template",
            "working_directory", "user", "network", "gpus", "memory_limit", "cpu_limit", "timeout_seconds",
            "queue_timeout_seconds", "labels", "queue", "priority", "scheduled_for", "max_retries", "retry_policy",
            "on_lost", "definition", "parameters", "is_queued",
        )  # fmt: skip

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if "definition" in values and (own := values.keys() - self.OF_A_DEFINITION):
            raise serializers.ValidationError({
                name: ["The definition says this; leave it out." ] for name in sorted(own)
            })  # fmt: skip
        if "parameters" in values and "definition" not in values:
            raise serializers.ValidationError({"parameters": ["Only with a definition."]})
        return values


class CloneSerializer(JobWriteSerializer):
    """What the new job has instead of what the other one has."""

    class Meta:
        model = ContainerJob
        fields = tuple(name for name in JobWriteSerializer.Meta.fields if name not in ("definition", "parameters"))

    definition = None
    parameters = None  # type: ignore[assignment]


class QueueSerializer(StrictSerializer):
    schedule_for = serializers.DateTimeField(required=False, allow_null=True, help_text="Not before this moment.")
    priority = serializers.IntegerField(required=False, min_value=0, max_value=100)


class AttemptSerializer(RowSerializer):
    host = serializers.SlugRelatedField("name", read_only=True)
    outcome = choice(Outcome)
    stop_requested = choice(StopReason)
    killed_by = choice(StopReason)

    class Meta:
        model = JobAttempt
        fields = (
            "number", "host", "execution_id", "launched_at", "started_at", "deadline_at", "finished_at", "exit_code",
            "outcome", "error", "stop_requested", "killed_by", "memory_peak_bytes", "cpu_seconds", "log_bytes",
            "log_bytes_left_out",
        )  # fmt: skip
        read_only_fields = fields


class EventSerializer(RowSerializer):
    data = AnyField(read_only=True)

    class Meta:
        model = JobEvent
        fields = ("id", "at", "verb", "attempt", "actor", "message", "data")
        read_only_fields = fields


class HostSerializer(RowSerializer):
    queues = serializers.ListField(child=serializers.CharField(), read_only=True)
    active_jobs = serializers.IntegerField(read_only=True)

    class Meta:
        model = ExecutorHost
        fields = (
            "name", "executor_type", "node", "queues", "weight", "is_active", "max_concurrent_jobs", "cpu_capacity",
            "memory_capacity", "engine_id", "engine_version", "checked_at", "health_error", "active_jobs",
        )  # fmt: skip
        read_only_fields = fields


class HostCheckSerializer(serializers.Serializer):
    is_healthy = serializers.BooleanField()
    engine_id = serializers.CharField(allow_blank=True)
    version = serializers.CharField(allow_blank=True)
    error = serializers.CharField(allow_blank=True, help_text="What is wrong and what to do; empty when healthy.")


class WorkerSerializer(RowSerializer):
    hosts = serializers.ListField(child=serializers.CharField(), read_only=True, help_text="Names.")
    is_alive = serializers.BooleanField(read_only=True)
    active_jobs = serializers.IntegerField(read_only=True)

    class Meta:
        model = Worker
        fields = (
            "id", "kind", "node", "process_id", "concurrency", "started_at", "heartbeat_at", "hosts", "is_alive",
            "active_jobs",
        )  # fmt: skip
        read_only_fields = fields


class StatsSerializer(serializers.Serializer):
    queued = serializers.IntegerField(help_text="In the queue with launches left, scheduled ones included.")
    scheduled = serializers.IntegerField(help_text="Of these, due later.")
    running = serializers.IntegerField()
    launch_failed = serializers.IntegerField(help_text="Never started, and out of launches or failed for good.")


class HealthSerializer(serializers.Serializer):
    status = serializers.ChoiceField(["ok", "unavailable"])


class JobFilterSerializer(StrictSerializer):
    """Each criterion narrows; several values of one are alternatives, several labels are not."""

    status = serializers.ListField(child=serializers.ChoiceField(Status.choices), required=False)
    queue = serializers.ListField(child=serializers.CharField(), required=False)
    host = serializers.ListField(child=serializers.CharField(), required=False, help_text="It has run there.")
    worker = serializers.ListField(child=serializers.UUIDField(), required=False, help_text="It owns the job now.")
    outcome = serializers.ListField(child=serializers.ChoiceField(Outcome.choices), required=False)
    exit_code = serializers.ListField(
        child=serializers.IntegerField(min_value=-LARGEST_INTEGER, max_value=LARGEST_INTEGER), required=False
    )
    definition = serializers.ListField(child=serializers.CharField(), required=False)
    tenant = serializers.ListField(child=serializers.CharField(), required=False)
    label = serializers.ListField(
        child=serializers.RegexField(r"(?s)^[^=]+=.*$"), required=False, help_text="NAME=VALUE; all must match."
    )
    error = serializers.CharField(required=False, help_text="The whole text of the error.")
    search = serializers.CharField(
        required=False, help_text="Begins or ends the id, or is in the name, command, image or error."
    )
    created_after = serializers.DateTimeField(required=False)
    created_before = serializers.DateTimeField(required=False)
    finished_after = serializers.DateTimeField(required=False)
    finished_before = serializers.DateTimeField(required=False)


def job_filter(valid: Mapping[str, Any]) -> JobFilter:
    """The data of a valid ``JobFilterSerializer`` as the one filter of every face."""
    labels = dict(pair.split("=", 1) for pair in valid.get("label", ()))
    return JobFilter(**{name: value for name, value in valid.items() if name != "label"}, labels=labels)


class BulkSerializer(StrictSerializer):
    """One action on the jobs of ``ids`` or of ``filter``; give one of them."""

    action = serializers.ChoiceField([action.value for action in Action])
    ids = serializers.ListField(
        child=serializers.UUIDField(), required=False, allow_empty=False, max_length=MOST_IDS
    )  # fmt: skip
    filter = JobFilterSerializer(required=False)
    priority = serializers.IntegerField(
        required=False, min_value=0, max_value=100, help_text="With set_priority."
    )  # fmt: skip
    dry_run = serializers.BooleanField(required=False, default=False, help_text="Only count.")

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if ("ids" in values) == ("filter" in values):
            raise serializers.ValidationError({"ids": ["Give ids or filter, and not both."]})
        if not values.get("filter", True):
            raise serializers.ValidationError({"filter": ["Give at least one criterion: this would be every job."]})
        if (values["action"] == Action.SET_PRIORITY) != ("priority" in values):
            raise serializers.ValidationError({"priority": ["Give it with set_priority, and only then."]})
        return values


class SkippedSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    status = serializers.CharField(allow_blank=True, help_text="Empty: there is no such job.")
    reason = serializers.CharField()


class BulkResultSerializer(serializers.Serializer):
    action = serializers.CharField()
    dry_run = serializers.BooleanField()
    matching = serializers.IntegerField(help_text="With dry_run: how many would be changed. Else how many were.")
    done = serializers.ListField(child=serializers.UUIDField())
    skipped = SkippedSerializer(many=True)
    is_capped = serializers.BooleanField(help_text="There may be more that match: ask again.")
