from django.urls import path

from evaluation import views
from evaluation.benchmarks import views as benchmark_views
from evaluation.comparing import views as compare_views
from evaluation.reports import views as reports

app_name = "evaluation"
urlpatterns = [
    path("evaluate/", views.scorecard_list, name="scorecard-list"),
    path("evaluate/new/", views.scorecard_queue, name="scorecard-queue"),
    path("evaluate/compare/", compare_views.scorecard_compare, name="scorecard-compare"),
    path("evaluate/compare.csv", compare_views.scorecard_compare_csv, name="scorecard-compare-csv"),
    path("evaluate/benchmarks/", benchmark_views.benchmark_list, name="benchmark-list"),
    path("evaluate/benchmarks/new/", benchmark_views.benchmark_create, name="benchmark-create"),
    path("evaluate/benchmarks/<int:pk>/", benchmark_views.benchmark_detail, name="benchmark-detail"),
    path("evaluate/benchmarks/<int:pk>/questions.jsonl", benchmark_views.benchmark_questions, name="benchmark-questions"),
    path("evaluate/loop/", views.loop_start, name="loop-start"),
    path("evaluate/<int:pk>/", views.scorecard_detail, name="scorecard-detail"),
    path("evaluate/<int:pk>/scorecard.json", views.scorecard_json, name="scorecard-json"),
    path("evaluate/<int:pk>/scorecard.csv", views.scorecard_csv, name="scorecard-csv"),
    path("evaluate/<int:pk>/report.<slug:format>", reports.scorecard_report, name="scorecard-report"),
    path("evaluate/models/<slug:name>/report.<slug:format>", reports.model_report, name="model-report"),
    path("evaluate/<int:pk>/answers.jsonl", views.scorecard_answers, name="scorecard-answers"),
]
