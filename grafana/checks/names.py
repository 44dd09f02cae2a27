"""Every metric that a board or a rule names is told by a node, and every metric a node tells is on a
board."""

import re
import subprocess

from . import expressions, reasons


def told(text):
    """The metrics of a node's text by name, with their kinds."""
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))


def base(name, kinds):
    """A histogram's series under the histogram's name."""
    for tail in ("_bucket", "_sum", "_count"):
        short = name.removesuffix(tail)
        if short != name and kinds.get(short) == "histogram":
            return short
    return name


def faults(text):
    kinds = told(text)
    recorded = {rule.name for rule in expressions.rules() if rule.kind == "record"}
    known = set(kinds) | recorded | set(reasons.COME_WITH_USE)
    wrong, on_board = [], set()
    for expression in expressions.of_boards() + expressions.of_rules():
        for metric in expression.metrics():
            name = base(metric, kinds)
            if name not in known and base(name, dict.fromkeys(known, "histogram")) not in known:
                wrong.append(f"{expression.where}: no node tells {metric}")
            if expression.kind in ("panel", "annotation"):
                on_board.add(name)
    for name in sorted(set(kinds) - on_board - set(reasons.ON_NO_BOARD)):
        wrong.append(f"{name}: on no board, and no reason is given")
    for name in sorted(set(reasons.ON_NO_BOARD) & on_board):
        wrong.append(f"{name}: is on a board, so it needs no reason")
    return wrong


def linted(text):
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True
    )
    return [] if done.returncode == 0 else [(done.stdout + done.stderr).strip()]


def series(text):
    return sum(1 for line in text.splitlines() if line and not line.startswith("#"))
