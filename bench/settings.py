"""Django's settings in the processes that measure. ``TEST_DATABASE`` and ``TEST_DATABASE_NAME`` say which database."""

from __future__ import annotations

import os

from tests.databases import configuration

SECRET_KEY = "only for measurements"
DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_ADMIN = ["django.contrib.admin", "django.contrib.sessions", "django.contrib.messages", "django.contrib.staticfiles"]
APPS_OF = {
    "procrastinate": ["procrastinate.contrib.django"],
    "django_tasks_db": ["django_tasks", "django_tasks_db"],
    "django_q2": ["django_q"],
    "own_reading": [*_ADMIN, "container_manager"],
}
"""What a peer's documentation has one add, and the admin where its pages are measured."""

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    *APPS_OF.get(os.environ.get("BENCH_SYSTEM", ""), ["container_manager"]),
]
DATABASES = {"default": configuration(os.environ.get("TEST_DATABASE", "postgres"))}
if os.environ.get("BENCH_SYSTEM") == "own_prepared":
    DATABASES["default"]["OPTIONS"] |= {"server_side_binding": True, "prepare_threshold": 5}

CONTAINER_MANAGER = {"RETENTION": None}

TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
Q_CLUSTER = {
    "name": "bench",
    "workers": 1,
    "orm": "default",
    "timeout": 60,
    "retry": 120,
    "save_limit": 0,
    "log_level": "ERROR",
}

if os.environ.get("BENCH_SYSTEM") == "own_reading":
    ROOT_URLCONF = "bench.urls"
    STATIC_URL = "static/"
    MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ]
    _PROCESSORS = [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]
    TEMPLATES = [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {"context_processors": _PROCESSORS},
        }
    ]
