"""Jobs, pipelines and workers in the data admin: to look at, never to change, for the engine alone may change them."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from jobs.models import Job, Pipeline, Worker


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # takes no argument at run time
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Job)
class JobAdmin(ReadOnly):
    list_display = ("id", "title", "kind", "state", "hardware_tag", "attempt", "worker", "created_at", "finished_at")
    list_filter = ("state", "hardware_tag", "kind")
    search_fields = ("title", "reason")
    list_select_related = ("worker",)


@admin.register(Pipeline)
class PipelineAdmin(ReadOnly):
    list_display = ("id", "name", "kind", "requested_by", "created_at")
    list_filter = ("kind",)


@admin.register(Worker)
class WorkerAdmin(ReadOnly):
    list_display = ("name", "host", "tags", "started_at", "seen_at", "ended_at")
