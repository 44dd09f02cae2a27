"""The arguments, the sequence of checks, and what is told of them."""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from . import draw, expressions, live, names, schema, static
from .expressions import GRAFANA


def arguments():
    parser = argparse.ArgumentParser(prog="grafana/check", description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the figures here")
    parser.add_argument("--onsale", metavar="PROGRAM", help="the program; else the newest of target/")
    parser.add_argument("--static", action="store_true", help="start no node and no Prometheus")
    parser.add_argument("--metrics", metavar="FILE", type=Path,
                        help="what a node that leads a sale tells: boards and rules name these metrics, and all of them")
    parser.add_argument("--complete", action="store_true", help="what is SKIPPED is a fault")
    parser.add_argument("--draw", metavar="FOLDER", type=Path, help="draw the boards over the sale")
    return parser.parse_args()


def program(given):
    if given:
        return Path(given)
    built = (GRAFANA.parent / "target").glob("*/onsale")
    return max(built, key=lambda file: file.stat().st_mtime, default=None)


def help_of(onsale):
    def say(words):
        done = subprocess.run([onsale, *words, "--help"], capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else None

    return say


def beside_a_sale(onsale, figures, pictures):
    try:
        texts, (executed, empty, broken) = live.run(onsale, pictures)
    except TimeoutError as late:
        return [str(late)]
    figures["executed"] = executed
    figures["empty_with_reason"] = len(empty)
    figures["series_per_node"] = max(map(names.series, texts))
    for where, why in empty:
        print(f"empty: {where}: {why}")
    return names.faults("\n".join(texts)) + names.linted(texts[0]) + broken


def main():
    given = arguments()
    rules = expressions.rules()
    alarms = {rule.name for rule in rules if rule.kind == "alert"}
    figures = {
        "panels": len(expressions.panels()),
        "expressions": len(expressions.of_boards()) + len(rules),
        "executed": 0,
        "empty_with_reason": 0,
        "failed": 0,
        "alarms": len(alarms),
        "alarms_tested": 0,
        "series_per_node": None,
    }
    failed = static.generated() + static.boards() + static.alarms()
    skipped = []
    if schema.is_here():
        failed += schema.faults()
    else:
        skipped.append("Grafana's schema: there is no Python package grafana-foundation-sdk")
    if shutil.which("promtool"):
        faults, hold = static.promtool()
        failed += faults
        figures["alarms_tested"] = len(alarms & hold)
    else:
        skipped.append("rules and their tests: there is no promtool")
    onsale = program(given.onsale)
    if onsale is None:
        skipped.append("commands and metrics: there is no program; build it or give --onsale")
    else:
        failed += static.commands(help_of(onsale))
    if given.metrics:
        failed += names.faults(given.metrics.read_text())
    if given.static or onsale is None:
        pass
    elif not shutil.which("prometheus"):
        skipped.append("expressions: there is no Prometheus")
    else:
        pictures = given.draw
        if pictures is not None and not draw.is_here():
            skipped.append("pictures: there is no Python package matplotlib")
            pictures = None
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
        failed += beside_a_sale(onsale, figures, pictures)
    failed = [fault for fault in failed if fault]
    if given.complete:
        failed += [f"SKIPPED: {part}" for part in skipped]
    figures["failed"] = len(failed)
    for fault in failed:
        print(f"FAILED: {fault}", file=sys.stderr)
    for part in skipped:
        print(f"SKIPPED: {part}")
    print(json.dumps(figures))
    if given.json:
        Path(given.json).write_text(json.dumps(figures, indent=1) + "\n")
    return 1 if failed else 0
