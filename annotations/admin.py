"""Projects, items, scores and datasets in the data admin: to look at, never to change, for the services alone may."""

from django.contrib import admin

from accounts.admin import ReadOnly
from annotations.models import DatasetVersion, Flag, Import, Item, Project, Rater, Revocation, RubricVersion, Score


@admin.register(Project)
class ProjectAdmin(ReadOnly):
    list_display = ("name", "slug", "raters_per_item", "rubric_version", "item_count")
    list_select_related = ("rubric_version",)


@admin.register(RubricVersion)
class RubricVersionAdmin(ReadOnly):
    list_display = ("name", "version", "title", "content_hash", "created_at")


@admin.register(Rater)
class RaterAdmin(ReadOnly):
    list_display = ("name", "kind", "created_at")
    list_filter = ("kind",)


@admin.register(Revocation)
class RevocationAdmin(ReadOnly):
    list_display = ("id", "kind", "rater", "rubric_version", "revoked_at", "lifted_at")
    list_select_related = ("rater", "rubric_version")
    list_filter = ("kind",)


@admin.register(Item)
class ItemAdmin(ReadOnly):
    list_display = ("id", "project", "source_model", "people_scores", "is_open", "open_flags", "created_at")
    list_select_related = ("project",)
    list_filter = ("project", "is_open")
    exclude = ("search",)
    show_full_result_count = False


@admin.register(Score)
class ScoreAdmin(ReadOnly):
    list_display = ("id", "item_id", "rater", "overall", "cannot_verify", "given_at", "withdrawn_at")
    list_select_related = ("rater",)
    show_full_result_count = False


@admin.register(Flag)
class FlagAdmin(ReadOnly):
    list_display = ("id", "item_id", "reason", "rater", "created_at", "resolved_at", "resolved_by")
    list_select_related = ("rater", "resolved_by")


@admin.register(Import)
class ImportAdmin(ReadOnly):
    list_display = ("id", "file_name", "project", "requested_by", "created_at", "finished_at")
    list_select_related = ("project", "requested_by")


@admin.register(DatasetVersion)
class DatasetVersionAdmin(ReadOnly):
    list_display = ("name", "kind", "project", "verdict", "content_hash", "created_at", "ready_at")
    list_select_related = ("project",)
