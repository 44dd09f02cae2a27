"""What needs no node: boards are what the generator writes, rules and their tests hold, every alarm
has a runbook, every panel asks a question."""

import re
import shutil
import subprocess
import sys
from itertools import takewhile

from . import expressions
from .expressions import GRAFANA, RULES, RUNBOOKS, TESTS

# The page that leads to all others.
INDEX = "README.md"
# The board that is one screen: so many rows of Grafana's grid are on one of 1,080 lines.
NIGHT, SCREEN = "onsale-night", 24
# Where Prometheus serves the pages (`--web.user-assets`): who sends an alarm can show its page.
SERVED = "{{ $externalURL }}/user"


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return None if done.returncode == 0 else (done.stdout + done.stderr).strip()


def generated():
    return [run(sys.executable, str(GRAFANA / "dashboards" / "generate.py"), "--check")]


def boards():
    faults = []
    uids = set()
    for file, board in expressions.boards():
        if board["uid"] in uids:
            faults.append(f"{file}: uid {board['uid']} is another board's")
        uids.add(board["uid"])
        bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
        if board["uid"] == NIGHT and bottom > SCREEN:
            faults.append(f"{file}: is {bottom} rows high, and a screen has {SCREEN}")
    for file, panel in expressions.panels():
        where = f"{file}: {panel['title']}"
        if not panel["title"].endswith("?"):
            faults.append(f"{where}: asks no question")
        if not panel["description"].startswith("Good: "):
            faults.append(f"{where}: does not say what good looks like")
        if len(panel["fieldConfig"]["defaults"]["thresholds"]["steps"]) < 2 and "No limit: " not in panel["description"]:
            faults.append(f"{where}: has no thresholds and does not say why")
        if not panel["links"] and "No page: " not in panel["description"]:
            faults.append(f"{where}: links no page and does not say why")
        for link in panel["links"]:
            page = link["url"].rpartition("/")[2]
            if not (RUNBOOKS / page).is_file():
                faults.append(f"{where}: there is no runbook {page}")
    return faults


def alarms():
    faults = []
    fires, silent = expressions.tested()
    linked = set()
    for rule in expressions.rules():
        if rule.kind != "alert":
            continue
        page = RUNBOOKS / rule.runbook.rpartition("/")[2]
        linked.add(page.name)
        if rule.runbook != f"{SERVED}/{page.name}" or not page.is_file():
            faults.append(f"{rule.name}: no runbook {rule.runbook}: it is to be {SERVED}/PAGE.md")
        elif rule.name not in page.read_text():
            faults.append(f"{page.name} does not name {rule.name}")
        if rule.severity not in ("page", "ticket", "none"):
            faults.append(f"{rule.name}: severity {rule.severity!r}")
        if rule.name not in fires:
            faults.append(f"{rule.name}: no test has it fire")
        if rule.name not in silent:
            faults.append(f"{rule.name}: no test has it silent")
    pages = {page.name: page.read_text() for page in RUNBOOKS.glob("*.md")}
    index = pages.pop(INDEX)
    faults += [f"{page}: no alarm links it" for page in sorted(set(pages) - linked)]
    for page, text in sorted(pages.items()):
        if f"]({INDEX})" not in text:
            faults.append(f"{page}: does not link {INDEX}, which says how to reach the cluster")
        if f"]({page})" not in index:
            faults.append(f"{INDEX}: does not link {page}")
    return faults


def commands(help_of):
    """Runbooks name only commands that exist. `help_of`: what `onsale ARGS --help` says, or None."""
    faults = []
    for page in sorted(RUNBOOKS.glob("*.md")):
        for text in re.findall(r"`(onsale [^`]*)`", page.read_text()):
            text = re.sub(r"--(url|key) \S+", "", text)
            words = takewhile(re.compile(r"[a-z][a-z-]*$").match, text.split()[1:])
            said = help_of(list(words))
            if said is None:
                faults.append(f"{page.name}: no command {text}")
                continue
            for option in re.findall(r"--[a-z-]+", text):
                if option not in said:
                    faults.append(f"{page.name}: {text}: no option {option}")
    return faults


def promtool():
    """Faults, and the alarms whose tests hold."""
    faults = [run("promtool", "check", "config", str(GRAFANA / "prometheus.yaml"))]
    if shutil.which("amtool"):
        faults.append(run("amtool", "check-config", str(GRAFANA / "alertmanager.yaml")))
    for file in RULES:
        faults.append(run("promtool", "check", "rules", "--lint=all", "--lint-fatal", str(file)))
    hold = []
    for file in TESTS:
        fault = run("promtool", "test", "rules", str(file))
        faults.append(fault)
        if fault is None:
            hold.append(file)
    fires, silent = expressions.tested(hold)
    return faults, fires & silent
