"""Headlines of older scorecards get every metric, and the paired differences from the base model."""

from typing import Any

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

FIELDS = ("value", "low", "high", "n", "reason", "p_adjusted")


def headlines_fill(apps: Any, schema_editor: BaseDatabaseSchemaEditor | None) -> None:  # noqa: ARG001
    evaluation = apps.get_model("evaluation", "Evaluation")
    for one in evaluation.objects.exclude(scorecard=None).only("scorecard", "headline").iterator(chunk_size=20):
        one.headline = _headline(one.scorecard) or one.headline
        one.save(update_fields=["headline"])


def _headline(card: dict[str, Any]) -> dict[str, Any]:
    if not card.get("headline"):
        return {}
    main = card["headline"][0]
    base = card["baselines"].get("base") or {}
    return {
        "slice": main,
        "n": card["slices"][main]["n"],
        "conclusion": card["conclusions"][main],
        "metrics": _brief(card["metrics"]),
        "differences": _brief(base.get("differences", {}).get(main, {})),
    }


def _brief(figures: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {field: one[field] for field in FIELDS if one.get(field) is not None} for name, one in figures.items()}


class Migration(migrations.Migration):
    dependencies = [("evaluation", "0003_benchmark_facts")]

    operations = [migrations.RunPython(headlines_fill, migrations.RunPython.noop)]
