"""What the page of a scorecard shows: the same on its own page and on that of its model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evaluation import selectors
from evaluation.metrics import METRICS
from evaluation.metrics.paired import Became
from evaluation.scorecards import charts, part_charts
from evaluation.scorecards.document import FIGURES, Figures, Meaning, MetricValue
from evaluation.scorecards.samples import Sample
from evaluation.scorecards.scorecard import Scorecard


@dataclass(frozen=True)
class FigureTable:
    """Some figures under a title; each row says what the figure is, and its value."""

    title: str
    rows: list[tuple[Meaning, MetricValue]]


def card_context(card: Scorecard, wanted: Mapping[str, str]) -> dict[str, Any]:
    """`wanted`: the page's filters: `slice` whose numbers are large, `by` which slices are drawn, `metric` of what."""
    chosen = wanted.get("slice", "")
    chosen = chosen if chosen in card.headline else card.headline[0]
    rows = selectors.metric_rows(card, chosen)
    by_name = {row.name: row for row in rows}
    metric = wanted.get("metric", "")
    metric = metric if metric in METRICS else selectors.TILES[0]
    finest = selectors.finest_slices(card)
    drawn = part_charts.card_charts(card, chosen, finest)
    groups = part_charts.slice_groups(card)
    sliced = part_charts.slice_chart(card, metric, wanted.get("by", ""))
    return {
        "slice": chosen,
        "report": card.slices[chosen],
        "conclusion": card.conclusions[chosen],
        "rows": rows,
        "tiles": [by_name[name] for name in selectors.TILES if name in by_name],
        "finest": finest,
        "slices": selectors.main_slices(card),
        "slice_columns": {name: METRICS[name] for name in selectors.SLICE_COLUMNS},
        "charts": drawn | ({"by_slice": sliced} if sliced else {}),
        "slice_groups": list(groups),
        "by": wanted.get("by", "") if wanted.get("by", "") in groups else "",
        "metric": metric,
        "metrics": {name: METRICS[name].title for name in card.metrics if name in METRICS},
        "elicited": part_charts.ELICITED.get(str(card.settings.get("confidence", "probability")), ""),
        "verdict_titles": charts.VERDICT_TITLES,
        "changed": _changed(card),
        "figures": figure_tables(card),
    }


def _changed(card: Scorecard) -> list[tuple[str, list[Sample]]]:
    if card.change is None:
        return []
    samples = card.change.samples
    return [
        (part_charts.BECAME_TITLES.get(kind, kind), found) for kind, found in samples.items() if found and kind != Became.SAME
    ]


def figure_tables(card: Scorecard) -> list[FigureTable]:
    """What was asked besides one plain answer to each question; nothing where nothing was."""
    found = [(f"Confidence: {part_charts.ELICITED.get(name, name)}", one.metrics) for name, one in card.confidences.items()]
    found += [(part_charts.PROBE_TITLES.get(name, name), figures) for name, figures in card.probes.items()]
    if card.change is not None:
        found.append((f"Against {card.change.against}, question by question", card.change.metrics))
    found += [("Answer against answer", card.pairs), ("The text itself", card.text), ("The judge beside people", card.agreement)]
    return [FigureTable(title, _explained(figures)) for title, figures in found if figures]


def _explained(figures: Figures) -> list[tuple[Meaning, MetricValue]]:
    """Figures of a later version, which this one does not know, go by their names."""
    return [(FIGURES.get(name) or Meaning(name.replace("_", " "), "", "", "neither"), value) for name, value in figures.items()]
