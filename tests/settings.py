"""Django's settings for the tests. ``TEST_DATABASE`` picks the database: sqlite, postgres or mariadb."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec

from tests import databases

SECRET_KEY = "only for tests"
DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "tests.urls"
STATIC_URL = "static/"
MEDIA_ROOT = os.environ.get("TEST_MEDIA_ROOT", "/nonexistent: the fixture media sets it")
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.admin",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "container_manager",
    "tests.video",
    *([] if find_spec("django.tasks") else ["django_tasks"]),
]
MIDDLEWARE = [
    "tests.browser.content_security_policy.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

TEST_DATABASE = os.environ.get("TEST_DATABASE", "sqlite")
DATABASES = {"default": databases.configuration(TEST_DATABASE)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CONTAINER_MANAGER = {"ALLOW_PROCESS_EXECUTOR": True, **json.loads(os.environ.get("TEST_CONTAINER_MANAGER", "{}"))}

_TASK_BACKEND = {"BACKEND": "container_manager.task_backend.ContainerTaskBackend", "QUEUES": ["default", "gpu"]}
TASKS = {
    "default": _TASK_BACKEND,
    "retrying": {**_TASK_BACKEND, "OPTIONS": {"retry_policy": "on_failure"}},
    "printing": {**_TASK_BACKEND, "OPTIONS": {"results": "output"}},
}
