"""Reads the expressions of boards and rules, and the names in them."""

import json
import re
from pathlib import Path

GRAFANA = Path(__file__).parent.parent
BOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
RULES = sorted((GRAFANA / "alerts").glob("*.yaml"))
TESTS = sorted((GRAFANA / "alerts" / "tests").glob("*.yaml"))
RUNBOOKS = GRAFANA / "runbooks"

METRIC = re.compile(r"\b(onsale_[a-z0-9_]+|process_[a-z0-9_]+|onsale:[a-z0-9_:]+)")


class Expression:
    """One expression and where it stands."""

    def __init__(self, where, text, kind):
        self.where, self.text, self.kind = where, text, kind

    def metrics(self):
        return set(METRIC.findall(self.text))


class Rule:
    """An alarm or a recorded series."""

    def __init__(self, file, kind, name):
        self.file, self.kind, self.name = file, kind, name
        self.expr = self.severity = self.summary = self.runbook = ""


def boards():
    return [(file.name, json.loads(file.read_text())) for file in BOARDS]


def panels():
    """All panels that show something measured, with their board's file."""
    return [
        (file, panel)
        for file, board in boards()
        for panel in board["panels"]
        if panel["type"] not in ("row", "text")
    ]


def of_boards():
    found = []
    for file, board in boards():
        for annotation in board["annotations"]["list"]:
            where = f"{file}: annotation {annotation['name']}"
            found.append(Expression(where, annotation["expr"], "annotation"))
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                where = f"{file}: {panel['title']} {target['refId']}"
                found.append(Expression(where, target["expr"], "panel"))
    return found


def rules():
    """The form our rule files have is all this reads: a key a line, `expr` in one line or folded."""
    found = []
    for file in RULES:
        rule, folded = None, False
        for line in file.read_text().splitlines():
            words = line.strip()
            started = re.match(r"- (alert|record): (\S+)$", words)
            key, _, value = words.partition(": ")
            if started:
                rule, folded = Rule(file.name, *started.groups()), False
                found.append(rule)
            elif rule is None or not words or words.startswith("#"):
                continue
            elif words.startswith("expr:"):
                folded = value == ">-"
                rule.expr = "" if folded else value
            elif re.match(r"(for|labels|annotations|severity|summary|runbook_url):", words):
                folded = False
                if key in ("severity", "summary"):
                    setattr(rule, key, value.strip('"'))
                if key == "runbook_url":
                    rule.runbook = value.strip('"')
            elif folded:
                rule.expr = f"{rule.expr} {words}".strip()
    return found


def of_rules():
    return [Expression(f"{rule.file}: {rule.name}", rule.expr, rule.kind) for rule in rules()]


def tested(files=tuple(TESTS)):
    """Alarms by whether a test of these files has them fire and another has them silent."""
    fires, silent = set(), set()
    for file in files:
        alarm = None
        for line in file.read_text().splitlines():
            words = line.strip()
            if words.startswith("alertname:"):
                alarm = words.partition(": ")[2]
            elif words == "exp_alerts: []":
                silent.add(alarm)
            elif words == "exp_alerts:":
                fires.add(alarm)
    # What burns always has no test in which it is silent.
    return fires, silent | {rule.name for rule in rules() if rule.severity == "none"}
