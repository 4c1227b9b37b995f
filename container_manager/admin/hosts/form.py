"""The form of a host: its executor's options as fields, and a connection that is asked before anything is saved."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from container_manager import conf
from container_manager.admin.hosts.option_fields import PREFIX, NamesField, option_fields, read_options
from container_manager.conf import executors
from container_manager.exceptions import ConfigurationError, ExecutorError
from container_manager.executors import executor_class
from container_manager.executors.options import Options
from container_manager.hosts import node_name
from container_manager.models import ExecutorHost, Worker
from container_manager.models.host import default_queues
from container_manager.queue import queue_manager
from container_manager.services.probing import probe
from container_manager.specs import HostHealth

CHECK: Final = "_check"
"""The button that asks the engine and saves nothing."""
SAVE_UNREACHABLE: Final = "_save_unreachable"
"""The button of somebody who has been told that the engine does not answer."""
REACHED_BY: Final = ("base_url", "tls", "kubeconfig", "context", "namespace", "state_directory", "engine", "timeout")
"""Options that say how an engine is reached; they come first."""
FEW: Final = 8
"""So many other options are shown at once; more are folded away."""


class HostForm(forms.ModelForm):
    """
    Saves nothing while its engine does not answer, unless told to; see the buttons above.

    Engines that only workers on another node reach are left to those. ``health``: what the engine
    answered; ``is_unreachable``: it was asked and did not.
    """

    declared: ClassVar[type[Options] | None] = None
    health: HostHealth | None = None
    is_unreachable = False

    executor_type = forms.ChoiceField(widget=forms.HiddenInput)
    queues = NamesField(
        required=False, initial=default_queues, help_text=gettext_lazy("Names of the queues it serves, with commas.")
    )

    class Meta:
        model = ExecutorHost
        exclude = ()  # noqa: DJ006 - the admin names the fields
        labels = {"cpu_capacity": gettext_lazy("CPU capacity"), "max_concurrent_jobs": gettext_lazy("Jobs at once")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["executor_type"].choices = [(name, name) for name in executors()]  # type: ignore[attr-defined]
        nodes = sorted(set(Worker.objects.using(queue_manager.using).alive().values_list("node", flat=True)))
        if nodes and "node" in self.fields:
            workers = _("Workers run on: %(nodes)s.") % {"nodes": ", ".join(nodes)}
            self.fields["node"].help_text = f"{self.fields['node'].help_text} {workers}"
        for name, value in (self.instance.options or {}).items():
            if PREFIX + name in self.fields:
                self.initial[PREFIX + name] = value

    def is_valid(self) -> bool:
        return super().is_valid() and CHECK not in self.data

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.declared is not None:
            self.instance.options, problems = read_options(self.declared, self.cleaned_data)
            for field, problem in problems.items():
                self.add_error(field, problem)
        return cleaned

    def add_error(self, field: str | None, error: Any) -> None:
        """An error of a field that the form does not show is the form's."""
        found = getattr(error, "error_dict", {})
        if found and any(name not in (*self.fields, NON_FIELD_ERRORS) for name in found):
            for name, problems in found.items():
                super().add_error(name if name in self.fields else None, problems)
            return
        super().add_error(field, error)

    def _post_clean(self) -> None:
        if any(name.startswith(PREFIX) for name in self.errors):
            return  # what the model would say of the other options could be wrong
        super()._post_clean()  # type: ignore[misc] # the model's own checks first: its options must be valid
        changed = {"executor_type", "options", "node"}.intersection(self.changed_data)
        is_new_address = bool(changed) or any(name.startswith(PREFIX) for name in self.changed_data)
        if self.errors or SAVE_UNREACHABLE in self.data or not (is_new_address or CHECK in self.data):
            return
        host = self.instance
        if host.node in ("", node_name()):
            self._ask(host)
        elif CHECK in self.data:
            text = _("Only workers on %(node)s reach it; they say on the host's page whether it answers.")
            self.add_error("node", ValidationError(text, params={"node": host.node}))

    def _ask(self, host: ExecutorHost) -> None:
        try:
            self.health = probe(host, queue_manager.using)
        except (ExecutorError, ConfigurationError) as error:
            self.is_unreachable = True
            self.add_error(None, _("The connection does not work: %(error)s") % {"error": error})


def form_of(executor_type: str) -> type[HostForm]:
    """With a field for each option of the executor; with one for all of them where it does not declare them."""
    declared = declared_options(executor_type)
    if declared is None:
        return HostForm
    return type("HostForm", (HostForm,), {"declared": declared, **option_fields(declared)})


def declared_options(executor_type: str) -> type[Options] | None:
    try:
        return executor_class(executor_type).options_class
    except ConfigurationError:
        return None


def fieldsets_of(executor_type: str) -> list[tuple[Any, dict[str, Any]]]:
    """How the form is laid out: what it is, how it is reached, what it takes, what its jobs get."""
    declared = declared_options(executor_type)
    names = [known.name for known in declared.declarations()] if declared else []
    first = [PREFIX + name for name in REACHED_BY if name in names] if declared else ["options"]
    others = [PREFIX + name for name in names if name not in REACHED_BY]
    folded = {"classes": ("collapse",)} if len(others) > FEW else {}
    return [
        (None, {"fields": ["executor_type", "name", "queues"]}),
        (gettext_lazy("Connection"), {"fields": [*first, "node"]}),
        (
            gettext_lazy("How much it takes"),
            {"fields": ["max_concurrent_jobs", "cpu_capacity", "memory_capacity", "weight", "is_active"]},
        ),
        *([(gettext_lazy("What its jobs get"), {"fields": others, **folded})] if others else []),
    ]


def offered_executors(current: str) -> list[str]:
    """Those that a host can be made of here, and ``current``."""
    hidden = {"fake"} if conf.is_process_executor_allowed() else {"fake", "process"}
    return [name for name in executors() if name not in hidden or name == current]


def why_not(executor_type: str) -> str:
    """What is to be done before an executor can be used here; empty when it can."""
    try:
        executor_class(executor_type)
    except ConfigurationError as error:
        return str(error)
    return ""
