from django.urls import path

from evaluation import judge_views, views
from evaluation.benchmarks import views as benchmark_views
from evaluation.comparing import views as compare_views
from evaluation.ledger import views as ledger_views
from evaluation.promotion import views as promotion_views
from evaluation.reports import views as reports
from evaluation.self_rewarding import views as self_rewarding_views

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
    path("evaluate/champions/", promotion_views.promotion_list, name="promotion-list"),
    path("evaluate/champions/<slug:slug>/", promotion_views.promotion_project, name="promotion-project"),
    path("evaluate/champions/<slug:slug>/rules/", promotion_views.promotion_rules, name="promotion-rules"),
    path("evaluate/champions/<slug:slug>/judge/", promotion_views.promotion_judge, name="promotion-judge"),
    path("evaluate/champions/<slug:slug>/roll-back/", promotion_views.promotion_roll_back, name="promotion-roll-back"),
    path("evaluate/verdicts/<int:pk>/", promotion_views.promotion_verdict, name="promotion-verdict"),
    path("evaluate/verdicts/<int:pk>/questions.jsonl", promotion_views.promotion_questions, name="promotion-questions"),
    path("evaluate/verdicts/<int:pk>/promote/", promotion_views.promotion_promote, name="promotion-promote"),
    path("evaluate/certificates/<int:pk>.json", promotion_views.promotion_certificate, name="promotion-certificate"),
    path("evaluate/ledger/", ledger_views.ledger_list, name="ledger-list"),
    path("evaluate/ledger/raters/<int:pk>/", ledger_views.ledger_rater, name="ledger-rater"),
    path("evaluate/ledger/rubrics/<int:pk>/", ledger_views.ledger_rubric, name="ledger-rubric"),
    path("evaluate/ledger/<int:pk>/", ledger_views.ledger_detail, name="ledger-detail"),
    path("evaluate/ledger/<int:pk>/lift/", ledger_views.ledger_lift, name="ledger-lift"),
    path("evaluate/ledger/<int:pk>/rebuild/", ledger_views.ledger_rebuild, name="ledger-rebuild"),
    path("evaluate/judges/", judge_views.judge_list, name="judge-list"),
    path("evaluate/judges/new/", judge_views.judge_create, name="judge-create"),
    path("evaluate/judges/<int:pk>/", judge_views.judge_detail, name="judge-detail"),
    path("evaluate/self-rewarding/", self_rewarding_views.self_rewarding_list, name="self-rewarding-list"),
    path("evaluate/self-rewarding/new/", self_rewarding_views.self_rewarding_create, name="self-rewarding-create"),
    path("evaluate/self-rewarding/<int:pk>/", self_rewarding_views.self_rewarding_detail, name="self-rewarding-detail"),
    path("evaluate/self-rewarding/<int:pk>/stop/", self_rewarding_views.self_rewarding_stop, name="self-rewarding-stop"),
    path("evaluate/self-rewarding/<int:pk>/resume/", self_rewarding_views.self_rewarding_resume, name="self-rewarding-resume"),
    path("evaluate/self-rewarding/<int:pk>/stage/", self_rewarding_views.self_rewarding_stage, name="self-rewarding-stage"),
    path(
        "evaluate/self-rewarding/<int:pk>/report.<slug:format>",
        self_rewarding_views.self_rewarding_report,
        name="self-rewarding-report",
    ),
    path("evaluate/loop/", views.loop_start, name="loop-start"),
    path("evaluate/<int:pk>/", views.scorecard_detail, name="scorecard-detail"),
    path("evaluate/<int:pk>/scorecard.json", views.scorecard_json, name="scorecard-json"),
    path("evaluate/<int:pk>/scorecard.csv", views.scorecard_csv, name="scorecard-csv"),
    path("evaluate/<int:pk>/report.<slug:format>", reports.scorecard_report, name="scorecard-report"),
    path("evaluate/models/<slug:name>/report.<slug:format>", reports.model_report, name="model-report"),
    path("evaluate/<int:pk>/items/", views.scorecard_items, name="scorecard-items"),
    path("evaluate/<int:pk>/answers.jsonl", views.scorecard_answers, name="scorecard-answers"),
]
