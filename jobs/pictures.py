"""Charts as pictures without a browser, for reports and messages: the pages' figures, drawn by matplotlib in the site's colours.

Of Plotly's figures it knows what the site uses: points, lines and bars with their error bars, on linear, logarithmic, date and
category axes, with lines and words laid over them. Anything else is refused, so that no picture leaves out what the page shows.
"""

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from html import escape
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from django.conf import settings

from jobs.figures import Chart, Figure

Colours: TypeAlias = Mapping[str, str]

SERIES = 6
DASHES = {"solid": "-", "dot": ":", "dash": "--", "dashdot": "-."}
MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "cross": "P", "x": "X", "star": "*"}
# Inches; a row of bars or dots that lie on their side takes this much.
ROW, LEAST = 0.34, 2.3
WIDTH, HEIGHT, DPI = 6.8, 2.8, 100
PANEL = 2.2
_TOKEN = re.compile(r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)")
_SIZE = re.compile(r' width="[^"]*" height="[^"]*"')
_STYLE = re.compile(r"<defs>\s*<style.*?</style>\s*</defs>", re.DOTALL)
_NAMED = re.compile(r'(\bid="|url\(#|href="#)')


class NotDrawn(ValueError):  # noqa: N818 (a refusal is no accident)
    """A figure has something that this module does not know how to draw."""


@lru_cache
def colours(theme: str) -> Colours:
    """The colours that the pages have in the theme "light" or "dark", by token, from the one place where they stand."""
    text = Path(settings.BASE_DIR, "static", "css", "tokens.css").read_text(encoding="utf-8")
    return {name: dark if theme == "dark" else light for name, light, dark in _TOKEN.findall(text)}


def blank(width: float, height: float, colour: Colours) -> Any:
    """An empty matplotlib figure of so many inches."""
    # Where it keeps what it knows of the machine's fonts; a service's user may have no home of its own.
    os.environ.setdefault("MPLCONFIGDIR", str(Path(settings.RLWHF_HOME, "cache", "matplotlib")))
    # 0.4 seconds and 30 MB, for what is asked for now and then; no part of its global state (pyplot) is used.
    import matplotlib as mpl  # noqa: PLC0415 (weight)
    from matplotlib.figure import Figure as Canvas  # noqa: PLC0415 (weight)

    # Words stay words, to be read aloud, searched and copied; the same chart gives the same bytes.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "rlwhf"})
    return Canvas(figsize=(width, height), dpi=DPI, facecolor=colour["surface"], layout="constrained")


def svg_of(chart: Chart) -> str:
    """The chart as an SVG element in both themes: its colours are the tokens of the page that holds it."""
    colour = colours("light")
    picture = blank(WIDTH, height_of(chart), {**colour, "surface": "none"})
    _draw(picture, chart, colour)
    _legend_above(picture, chart, colour)
    out = BytesIO()
    picture.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue().decode("utf-8")
    # As wide as there is room for; its style would be one of the whole page.
    text = _STYLE.sub("", _SIZE.sub("", text[text.index("<svg") + len("<svg") :], count=1))
    text = f'<svg role="img" aria-label="{escape(chart.title)}" stroke-linejoin="round"{text}'
    by_value = {value: name for name, value in reversed(list(colour.items()))}
    text = re.sub(r"#[0-9a-f]{6}\b", lambda found: _variable(found[0], by_value), text)
    # Ids are those of a document of its own; in a page with several they would meet.
    return _NAMED.sub(lambda found: f"{found[0]}{chart.id}-", text)


def _variable(value: str, by_value: Mapping[str, str]) -> str:
    return f"var(--{by_value[value]}, {value})" if value in by_value else value


def png_of(chart: Chart, *, theme: str = "light", dpi: int = DPI) -> bytes:
    """The chart as a PNG."""
    return _saved(chart, theme, format="png", dpi=dpi)


def print_of(chart: Chart) -> bytes:
    """The chart as an SVG for paper: light, with its colours written out."""
    return _saved(chart, "light", format="svg")


def _saved(chart: Chart, theme: str, **how: Any) -> bytes:
    colour = colours(theme)
    picture = blank(WIDTH, height_of(chart), colour)
    _draw(picture, chart, colour)
    _legend_above(picture, chart, colour)
    out = BytesIO()
    picture.savefig(out, **how)
    return out.getvalue()


def _legend_above(picture: Any, chart: Chart, colour: Colours) -> None:
    found = [one.get_legend_handles_labels() for one in picture.axes]
    handles, labels = ([one for pair in found for one in pair[part]] for part in (0, 1))
    if len(labels) > 1 and chart.figure["layout"].get("showlegend", True):
        columns = 3 if max(map(len, labels)) < 24 else 2
        picture.legend(
            handles, labels, loc="outside upper left", ncols=columns, fontsize=8, frameon=False, labelcolor=colour["text"]
        )


def height_of(chart: Chart) -> float:
    """Inches; more where rows lie below each other."""
    layout = chart.figure["layout"]
    rows = len(layout.get("yaxis", {}).get("tickvals", ()))
    lying = [trace for trace in chart.figure["data"] if trace.get("orientation") == "h"]
    rows = max([rows, *(len(trace["y"]) for trace in lying)])
    if len(_panels(chart)) > 1:
        return PANEL * len(_panels(chart))
    return max(LEAST, 1.0 + ROW * rows) if rows else HEIGHT


@dataclass(frozen=True)
class _Axis:
    """One side of the plot: what its values are, and where those that are names lie."""

    layout: Figure
    names: tuple[str, ...]

    @property
    def is_date(self) -> bool:
        return self.layout.get("type") == "date"

    def places(self, values: Sequence[Any]) -> Any:
        """Numbers for values; NaN for what is missing."""
        if self.is_date:
            return np.array(values, dtype="datetime64[s]")
        if self.names:
            return np.array([self.names.index(str(value)) for value in values], dtype=float)
        return np.array([math.nan if value is None else value for value in values], dtype=float)


@dataclass(frozen=True)
class _Plot:
    """Where a figure is drawn, what its axes are, and in which colours."""

    place: Any
    x: _Axis
    y: _Axis
    colour: Colours

    def hue(self, name: Any, number: int = 0) -> str:
        """A token's colour, or the one of the line or bar of that number."""
        if name is None:
            return self.colour[f"series-{number % SERIES + 1}"]
        return self.colour[name.removeprefix("token:")] if str(name).startswith("token:") else str(name)


def _draw(picture: Any, chart: Chart, colour: Colours) -> None:
    """In one panel, or in several above each other that share what lies across. Raises NotDrawn."""
    panels, layout = _panels(chart), chart.figure["layout"]
    if len(panels) > 1 and any(layout.get(name) for name in ("shapes", "annotations")):
        raise NotDrawn(f"{chart.id}: no picture is made of lines or words over several panels.")
    places = picture.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=[high for _, high in panels])
    for (name, _), place in zip(panels, places[:, 0], strict=True):
        data = [trace for trace in chart.figure["data"] if trace.get("yaxis", "y") == name]
        part = {"data": data, "layout": {**layout, "yaxis": layout.get(_axis_of(name), {})}}
        draw_on(place, replace(chart, figure=part), colour)


def _panels(chart: Chart) -> list[tuple[str, float]]:
    """The axes that figures stand on, the uppermost first, and what share of the height each has."""
    layout = chart.figure["layout"]
    names = dict.fromkeys(str(trace.get("yaxis", "y")) for trace in chart.figure["data"]) or {"y": None}
    spans = {name: layout.get(_axis_of(name), {}).get("domain", (0.0, 1.0)) for name in names}
    found = sorted(spans.items(), key=lambda pair: -pair[1][1])
    if any(upper[1][0] < lower[1][1] for upper, lower in pairwise(found)):
        raise NotDrawn(f"{chart.id}: no picture is made of two scales in one panel.")
    return [(name, high - low) for name, (low, high) in found]


def _axis_of(name: str) -> str:
    """Where the layout has it: "y2" → "yaxis2"."""
    return f"yaxis{name[1:]}"


def draw_on(place: Any, chart: Chart, colour: Colours) -> None:
    """Draw a chart's figure into one of matplotlib's axes. Raises NotDrawn."""
    data, layout = chart.figure["data"], chart.figure["layout"]
    plot = _Plot(place, _axis(data, layout, "x"), _axis(data, layout, "y"), colour)
    _bars(plot, [trace for trace in data if kind(trace) == "bar"], layout)
    for number, trace in enumerate(data):
        if kind(trace) == "scatter":
            _points(plot, trace, number)
        elif kind(trace) != "bar":
            raise NotDrawn(f"{chart.id}: no picture is made of “{kind(trace)}”.")
    _dress(plot)
    for shape in layout.get("shapes", ()):
        _shape(plot, shape)
    for words in layout.get("annotations", ()):
        _words(plot, words)


def kind(trace: Figure) -> str:
    """As Plotly has it, whose traces are points unless they say otherwise."""
    return str(trace.get("type", "scatter"))


def _axis(data: Sequence[Figure], layout: Figure, side: str) -> _Axis:
    """An axis with its names in the order they come in; it has none where its values are numbers or dates."""
    about = layout.get(f"{side}axis", {})
    found = [value for trace in data for value in trace[side] if value is not None]
    are_words = found and about.get("type") != "date" and all(isinstance(one, str) for one in found)
    return _Axis(about, tuple(dict.fromkeys(map(str, found))) if about.get("type") == "category" or are_words else ())


def _points(plot: _Plot, trace: Figure, number: int) -> None:
    line, marker, mode = trace.get("line", {}), trace.get("marker", {}), trace.get("mode", "lines")
    hue = plot.hue(line.get("color") or marker.get("color"), number)
    across, up = plot.x.places(trace["x"]), plot.y.places(trace["y"])
    shown: dict[str, Any] = {
        "color": hue,
        "linestyle": DASHES[line.get("dash", "solid")] if "lines" in mode else "none",
        "linewidth": 0.75 * line.get("width", 2),
        "markersize": 0.6 * marker.get("size", 6),
        "label": plain(trace["name"]) if trace.get("name") and trace.get("showlegend", True) else "_",
    }
    symbols = marker.get("symbol", "circle")
    if isinstance(symbols, list):
        for at, high, symbol in zip(across, up, symbols, strict=True):
            plot.place.plot([at], [high], **{**shown, "linestyle": "none", "label": "_"}, **_mark(symbol))
    else:
        steps = "steps-post" if line.get("shape") == "hv" else "default"
        plot.place.plot(across, up, drawstyle=steps, **shown, **(_mark(symbols) if "markers" in mode else {}))
    for side in "xy":
        if f"error_{side}" in trace:
            bars = trace[f"error_{side}"]
            reach = np.array([bars["arrayminus"], bars["array"]], dtype=float)
            plot.place.errorbar(across, up, **{f"{side}err": reach}, fmt="none", color=hue, mfc=hue, elinewidth=0.9, capsize=2)
    if trace.get("fill") == "tozeroy":
        plot.place.fill_between(across, up, color=hue, alpha=0.15, linewidth=0)


def _mark(symbol: str) -> dict[str, Any]:
    name = symbol.removesuffix("-open")
    if name not in MARKERS:
        raise NotDrawn(f"No picture is made of a mark “{symbol}”.")
    return {"marker": MARKERS[name]} | ({"markerfacecolor": "none"} if name != symbol else {})


def _bars(plot: _Plot, traces: Sequence[Figure], layout: Figure) -> None:
    """Bars beside each other (group) or on top of each other (stack)."""
    stacked = layout.get("barmode") == "stack"
    reached: Any = 0.0
    thick = (1 - layout.get("bargap", 0.2)) / (1 if stacked else max(1, len(traces)))
    for number, trace in enumerate(traces):
        lies = trace.get("orientation") == "h"
        along, values = (plot.y, trace["x"]) if lies else (plot.x, trace["y"])
        lengths = np.array([math.nan if value is None else value for value in values], dtype=float)
        spots = along.places(trace["y"] if lies else trace["x"])
        if not stacked:
            spots = spots + (number - (len(traces) - 1) / 2) * thick
        shown = {"color": _hues(plot, trace, number), "label": plain(trace["name"]) if trace.get("name") else "_"}
        draw = plot.place.barh if lies else plot.place.bar
        drawn = draw(spots, lengths, thick, **({"left" if lies else "bottom": reached} if stacked else {}), **shown)
        _hatch(plot, drawn, trace.get("marker", {}).get("pattern", {}))
        if stacked:
            reached = reached + np.nan_to_num(lengths)


def _hues(plot: _Plot, trace: Figure, number: int) -> Any:
    given = trace.get("marker", {}).get("color")
    return [plot.hue(one, number) for one in given] if isinstance(given, list) else plot.hue(given, number)


def _hatch(plot: _Plot, bars: Any, pattern: Figure) -> None:
    shapes = pattern.get("shape", "")
    for number, bar in enumerate(bars):
        shape = shapes[number] if isinstance(shapes, list) else shapes
        if shape:
            bar.set(hatch=shape * 3, edgecolor=plot.hue(pattern.get("fgcolor")), linewidth=0)


def _dress(plot: _Plot) -> None:
    place, colour = plot.place, plot.colour
    place.set_facecolor("none")
    place.grid(color=colour["border"], linewidth=0.6)
    place.set_axisbelow(True)
    place.tick_params(colors=colour["muted"], labelsize=8, length=0)
    for edge in place.spines.values():
        edge.set_color(colour["border"])
    _side(place.xaxis, place.set_xlim, plot.x)
    _side(place.yaxis, place.set_ylim, plot.y)
    for axis in (place.xaxis, place.yaxis):
        axis.label.set_color(colour["muted"])
    if plot.y.layout.get("rangemode") == "tozero":
        place.set_ylim(bottom=min(0, place.get_ylim()[0]))


def _side(axis: Any, limit: Any, about: _Axis) -> None:
    """An axis' title, ticks and range."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter  # noqa: PLC0415 (weight)

    layout = about.layout
    if title := layout.get("title", {}).get("text"):
        axis.set_label_text(plain(title), fontsize=8)
    if about.names:
        slanted = sum(map(len, about.names)) > 70 and axis.axis_name == "x"
        axis.set_ticks(range(len(about.names)), [plain(_short(name)) for name in about.names], **(_SLANTED if slanted else {}))
    elif "tickvals" in layout:
        axis.set_ticks(layout["tickvals"], [plain(_short(name)) for name in layout["ticktext"]])
    elif layout.get("type") == "log":
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    elif not about.is_date:
        axis.set_major_locator(MaxNLocator(6))
        if "%" in layout.get("tickformat", ""):
            axis.set_major_formatter(PercentFormatter(1))
    if "range" in layout and layout.get("type") != "log":
        limit(*(about.places(layout["range"]) if about.is_date else layout["range"]))
    elif layout.get("autorange") == "reversed":
        axis.set_inverted(True)


_SLANTED = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
NAME_AT_MOST = 40


def _short(name: str) -> str:
    return name if len(name) <= NAME_AT_MOST else f"{name[: NAME_AT_MOST - 1]}…"


def _shape(plot: _Plot, shape: Figure) -> None:
    if shape.get("type") != "line":
        raise NotDrawn(f"No picture is made of a shape “{shape.get('type')}”.")
    line = shape.get("line", {})
    look: dict[str, Any] = {"color": plot.hue(line.get("color")), "linewidth": 0.75 * line.get("width", 1)}
    look["linestyle"] = DASHES[line.get("dash", "solid")]
    if shape.get("xref") == "paper":
        plot.place.axhline(plot.y.places([shape["y0"]])[0], **look)
    elif shape.get("yref") == "paper":
        plot.place.axvline(plot.x.places([shape["x0"]])[0], **look)
    else:
        plot.place.plot(plot.x.places([shape["x0"], shape["x1"]]), plot.y.places([shape["y0"], shape["y1"]]), **look)


def _words(plot: _Plot, words: Figure) -> None:
    """Words at a place of the plot: in the plot's own share of width or height where that is “paper”."""
    place = plot.place
    x, y = words["x"], words["y"]
    if words.get("xref") == "paper":
        spot, reckoned = (x, plot.y.places([y])[0]), place.get_yaxis_transform()
    elif words.get("yref") == "paper":
        spot, reckoned = (plot.x.places([x])[0], y), place.get_xaxis_transform()
    else:
        spot, reckoned = (plot.x.places([x])[0], plot.y.places([y])[0]), place.transData
    aligned = {"left": "left", "right": "right"}.get(words.get("xanchor", ""), "center")
    stands = {"top": "top", "bottom": "bottom"}.get(words.get("yanchor", ""), "center")
    place.text(*spot, plain(words["text"]), transform=reckoned, color=plot.colour["muted"], fontsize=7.5, ha=aligned, va=stands)


def plain(text: str) -> str:
    """As it stands: what is between dollars would be read as a formula."""
    return str(text).replace("$", r"\$")
