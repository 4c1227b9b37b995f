"""Running a definition from its own form."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

from container_manager import registry
from container_manager.admin.jobs.forms import LaunchForm
from container_manager.admin.pages import page
from container_manager.exceptions import DefinitionNotFoundError, QueueError
from container_manager.models import ContainerJob
from container_manager.queue import queue_manager

DEFAULT_PRIORITY: Final = ContainerJob.PRIORITY_NORMAL


def definitions_page(model_admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """Every definition of the project, with what its class says of itself."""
    listed = [
        {
            "name": name,
            "about": (definition.__doc__ or "").strip().partition("\n")[0],
            "fields": list(definition.fields),
        }
        for name, definition in registry.all_definitions().items()
    ]
    return page(model_admin, request, "jobs/definitions.html", {"title": _("Run a definition"), "definitions": listed})


def run_page(model_admin: ModelAdmin, request: HttpRequest, name: str, source: ContainerJob | None) -> HttpResponse:
    """The definition's form; once it is valid, a new job is in the queue. ``source`` fills it in."""
    try:
        definition = registry.find(name)
    except DefinitionNotFoundError as error:
        raise Http404(" ".join(error.messages)) from error
    data = request.POST if request.method == "POST" else None
    form = definition.form(data, request.FILES or None, initial=source.parameters if source else None)
    launch = LaunchForm(data, initial={"priority": definition.options.get("priority", DEFAULT_PRIORITY)})
    if form.is_valid() and launch.is_valid():
        job = _queued(definition, form, launch, request)
        if job is not None:
            messages.success(request, _("%(name)s is in the queue.") % {"name": job.name})
            address = "admin:container_manager_containerjob_change"
            return HttpResponseRedirect(reverse(address, args=[job.pk], current_app=model_admin.admin_site.name))
    context = {
        "title": name,
        "definition": definition,
        "form": form,
        "launch": launch,
        "media": form.media + launch.media,
    }
    return page(model_admin, request, "jobs/run.html", context)


def _about(definition: type[Any]) -> str:
    return (definition.__doc__ or "").strip().partition("\n")[0]


def _queued(definition: Any, form: Form, launch: LaunchForm, request: HttpRequest) -> ContainerJob | None:
    """The new job; or the form has the errors."""
    chosen = launch.cleaned_data
    try:
        job: ContainerJob = definition.build(**form.cleaned_data, priority=chosen["priority"])
        actor = request.user.get_username()
        return queue_manager.queue_job(job, schedule_for=chosen["schedule_for"], actor=actor)
    except ValidationError as error:
        for field, problems in error.message_dict.items():
            form.add_error(field if field in form.fields else None, problems)
    except QueueError as error:
        form.add_error(None, str(error))
    return None
