"""Draws the boards over a time that Prometheus has recorded, one picture a board, so that a person can look
without Grafana: time series as lines with thresholds and annotations, single values as numbers."""

import math
import re

from .expressions import boards

# Inches of a board's 24 columns, and of one row's unit of height.
WIDTH, UNIT = 20, 0.42
# A single value is not older than this.
STALE_S = 6
RANKS = ["green", "yellow", "red"]
COLOURS = {"green": "#2f8f4e", "yellow": "#b58900", "red": "#c0392b"}
SCALES = {"percentunit": (100, " %"), "s": (1, " s"), "ops": (1, " /s"), "reqps": (1, " /s")}


def is_here():
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


def draw(ask, began, ended, folder):
    """`ask` executes an expression over the time; the pictures' files."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    files = []
    for name, board in boards():
        panels = board["panels"]
        bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
        figure = pyplot.figure(figsize=(WIDTH, bottom * UNIT), facecolor="white")
        moments = annotations(ask, board)
        for panel in panels:
            place = box(panel["gridPos"], bottom)
            if panel["type"] == "row":
                figure.text(place[0], place[1], panel["title"], fontsize=13, weight="bold")
                continue
            if panel["type"] == "text":
                figure.text(place[0], place[1], panel["options"]["content"], fontsize=9, wrap=True)
                continue
            axes = figure.add_axes(place)
            found = [(target, ask(target["expr"])) for target in panel["targets"]]
            if panel["type"] == "stat":
                number(axes, panel, found, ended)
            else:
                lines(axes, panel, found, moments, began, ended)
            axes.set_title(panel["title"], fontsize=9, loc="left")
        file = folder / (name.removesuffix(".json") + ".png")
        figure.savefig(file, dpi=80)
        pyplot.close(figure)
        files.append(file)
    return files


def box(grid, bottom):
    """Left, bottom, width and height of a panel's axes, with room for title and legend."""
    left, height = grid["x"] / 24, grid["h"] / bottom
    low = 1 - (grid["y"] + grid["h"]) / bottom
    return [left + 0.025, low + height * 0.22, grid["w"] / 24 - 0.035, height * 0.6]


def annotations(ask, board):
    """When something happened that the board marks, and what: where values begin, or begin again."""
    found = []
    for annotation in board["annotations"]["list"]:
        for series in ask(annotation["expr"]):
            text = legend(annotation["titleFormat"], series["metric"])
            before = -math.inf
            for at, _ in series["values"]:
                if float(at) - before > STALE_S:
                    found.append((float(at), text, annotation["iconColor"]))
                before = float(at)
    return sorted(found)


def legend(form, labels):
    return re.sub(r"{{\s*(\w+)\s*}}", lambda label: labels.get(label.group(1), ""), form or "")


def points(series, scale):
    values = [(float(at), float(value)) for at, value in series["values"]]
    return [(at, value * scale) for at, value in values if math.isfinite(value)]


def steps(panel):
    """The values from which another colour holds, and the colour of those below all."""
    found = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    return [(step["value"], COLOURS.get(step["color"], step["color"])) for step in found]


def number(axes, panel, found, ended):
    """Values of the end: what was told before and not any more is not shown, as on the board."""
    scale, unit = SCALES.get(panel["fieldConfig"]["defaults"].get("unit"), (1, ""))
    told, worst = [], 0
    for target, result in found:
        for series in result:
            values = [value for at, value in points(series, scale) if at > ended - STALE_S]
            if values:
                label = legend(target.get("legendFormat"), series["metric"])
                told.append(f"{values[-1]:.4g}{unit}  {label}")
                worst = max(worst, RANKS.index(colour_of(panel, values[-1] / scale)))
    axes.set_facecolor(COLOURS[RANKS[worst] if told else "red"])
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, "\n".join(told[:8]) or panel["fieldConfig"]["defaults"]["noValue"], ha="center",
              va="center", fontsize=9, color="white")


def colour_of(panel, value):
    colour = "green"
    for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            colour = step["color"]
    return colour


def lines(axes, panel, found, moments, began, ended):
    scale, unit = SCALES.get(panel["fieldConfig"]["defaults"].get("unit"), (1, ""))
    many = 0
    for target, result in found:
        for series in result:
            values = points(series, scale)
            if values:
                many += 1
                label = legend(target.get("legendFormat"), series["metric"])
                axes.plot([at - began for at, _ in values], [value for _, value in values],
                          linewidth=1.1, label=label if many <= 10 else None)
    top = axes.get_ylim()[1]
    for value, colour in steps(panel):
        if value is not None and value * scale <= top:
            axes.axhline(value * scale, color=colour, linewidth=0.8, linestyle="--")
    told = {}
    for at, text, colour in moments:
        axes.axvline(at - began, color=colour, linewidth=0.9, alpha=0.5)
        # Of what happens again and again within seconds, the first is told.
        if at - told.get(text, -math.inf) > (ended - began) / 8:
            axes.annotate(text, (at - began, 1), xycoords=("data", "axes fraction"), rotation=90, fontsize=6,
                          va="top", ha="right", color=colour)
            told[text] = at
    axes.set_xlim(0, ended - began)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} s")
    axes.set_ylim(min(0, axes.get_ylim()[0]), 1.05 * axes.get_ylim()[1])
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.25)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}{unit}")
    if many:
        axes.legend(fontsize=6, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=5, frameon=False)
