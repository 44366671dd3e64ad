from django.urls import path

from annotations.views import datasets, imports, items, projects, score

app_name = "annotations"
urlpatterns = [
    path("items/", items.item_list, name="item-list"),
    path("items/import/", imports.item_import, name="item-import"),
    path("items/imports/<int:pk>/", imports.import_detail, name="import-detail"),
    path("items/imports/<int:pk>/refused.csv", imports.import_refused, name="import-refused"),
    path("items/projects/", projects.project_list, name="project-list"),
    path("items/projects/new/", projects.project_create, name="project-create"),
    path("items/projects/<slug:slug>/", projects.project_detail, name="project-detail"),
    path("items/projects/<slug:slug>/edit/", projects.project_edit, name="project-edit"),
    path("items/projects/<slug:slug>/gold/", projects.project_gold, name="project-gold"),
    path("items/flags/<int:pk>/resolve/", items.flag_resolve, name="flag-resolve"),
    path("items/<int:pk>/", items.item_detail, name="item-detail"),
    path("items/<int:pk>/reveal/", items.item_reveal, name="item-reveal"),
    path("score/", score.score, name="score"),
    path("score/items/<int:pk>/submit/", score.score_submit, name="score-submit"),
    path("score/items/<int:pk>/skip/", score.score_skip, name="score-skip"),
    path("score/items/<int:pk>/flag/", score.score_flag, name="score-flag"),
    path("score/items/<int:pk>/draft/", score.score_draft, name="score-draft"),
    path("score/in/<slug:slug>/", score.score_project, name="score-project"),
    path("score/in/<slug:slug>/next/", score.score_next, name="score-next"),
    path("score/in/<slug:slug>/undo/", score.score_undo, name="score-undo"),
    path("data/", datasets.dataset_list, name="dataset-list"),
    path("data/new/", datasets.dataset_build, name="dataset-build"),
    path("data/new/preview/", datasets.dataset_preview, name="dataset-preview"),
    path("data/<slug:name>/", datasets.dataset_detail, name="dataset-detail"),
    path("data/<slug:name>/files/<str:file>", datasets.dataset_download, name="dataset-download"),
]
