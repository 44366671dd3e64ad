from django.urls import path

from training import views

app_name = "training"
urlpatterns = [
    path("train/", views.run_list, name="run-list"),
    path("train/new/", views.run_launch, name="run-launch"),
    path("train/new/preview/", views.run_preview, name="run-preview"),
    path("train/<slug:name>/", views.run_detail, name="run-detail"),
    path("models/", views.artifact_list, name="artifact-list"),
    path("models/<slug:name>/", views.artifact_detail, name="artifact-detail"),
]
