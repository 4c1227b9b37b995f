"""The REST API (extra ``api``): ``path("api/v1/", include("container_manager.api.urls"))``."""
