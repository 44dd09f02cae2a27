"""A real Prometheus beside a real sale of three minutes on three nodes, whose leader is killed in the rush: every
expression is executed over it."""

import json
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import tomllib
import urllib.parse
import urllib.request
from pathlib import Path

from . import draw, expressions, promql, reasons
from .expressions import GRAFANA

NODES = 3
SALE_MAX_S = 480
# What $__rate_interval stands for here.
INTERVAL = "15s"


class Sale:
    """`onsale demo --keep`, until it is stopped."""

    def __init__(self, onsale, folder):
        self.folder = folder / "nodes"
        self.report = folder / "report.json"
        self.words = (folder / "demo.log").open("w+")
        self.process = subprocess.Popen(
            [onsale, "demo", "--keep", "--seats", "7500", "--visitors", "12000", "--seconds", "500",
             "--data", str(self.folder), "--json", str(self.report)],
            stdout=self.words, stderr=self.words, stdin=subprocess.DEVNULL,
        )

    def addresses(self):
        until = time.monotonic() + 60
        while time.monotonic() < until:
            files = sorted(self.folder.glob("node-*.toml"))
            if len(files) == NODES:
                try:
                    return [tomllib.loads(file.read_text())["node"]["http_address"] for file in files]
                except (tomllib.TOMLDecodeError, KeyError):
                    pass
            time.sleep(0.1)
        raise TimeoutError("the demo starts no nodes: " + self.said())

    def wait(self):
        """Until it has reported."""
        until = time.monotonic() + SALE_MAX_S
        while time.monotonic() < until:
            if self.report.is_file() and self.report.stat().st_size > 0:
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.5)
        raise TimeoutError("the demo comes to no end: " + self.said())

    def said(self):
        return Path(self.words.name).read_text()[-2000:]

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.words.close()


class Prometheus:
    """Scrapes some nodes every second with our rules."""

    def __init__(self, addresses, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        config = folder / "prometheus.yaml"
        config.write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(GRAFANA / "alerts" / "*.yaml")],
            "scrape_configs": [{"job_name": "onsale", "static_configs": [{"targets": addresses}]}],
        }))
        self.words = (folder / "prometheus.log").open("w")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
             f"--web.listen-address={self.address}", f"--web.external-url=http://{self.address}",
             f"--web.user-assets={expressions.RUNBOOKS}"],
            stdout=self.words, stderr=self.words,
        )

    def ask(self, path, **query):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]

    def pages(self):
        """Faults of the links of alarms: each is read, and of one that burns what its receiver is sent."""
        links = {rule.name: rule.runbook.replace("{{ $externalURL }}", f"http://{self.address}")
                 for rule in expressions.rules() if rule.kind == "alert"}
        sent = {alarm["labels"]["alertname"]: alarm["annotations"]["runbook_url"]
                for alarm in self.ask("alerts")["alerts"]}
        faults = []
        for name, link in (links | sent).items():
            try:
                with urllib.request.urlopen(link, timeout=10) as page:
                    if name not in page.read().decode():
                        faults.append(f"{name}: its page {link} is another's")
            except (OSError, ValueError) as error:
                faults.append(f"{name}: its page {link} cannot be read: {error}")
        if not sent:
            faults.append("no alarm burns, not even Watchdog")
        return faults

    def wait_until_up(self):
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                return self.ask("status/runtimeinfo")
            except OSError:
                time.sleep(0.2)
        raise TimeoutError("Prometheus does not start")

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.words.close()


def metrics(address):
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return answer.read().decode()


def over(prometheus, text, begun, ended):
    """What an expression gives from then until then."""
    text = text.replace("$__rate_interval", INTERVAL)
    text = re.sub(r"\$(node|size|channel)\b", ".*", text)
    return prometheus.ask("query_range", query=text, start=begun, end=ended, step="2s")


def execute(prometheus, begun, ended):
    """Each expression over the sale, and each part of it by itself: executed, empty with a reason, failed."""
    executed, empty, failed, known = 0, [], [], {}

    def has_data(text):
        if text not in known:
            result = over(prometheus, text, begun, ended)["result"]
            known[text] = any(is_number(value) for found in result for _, value in found["values"])
        return known[text]

    for expression in expressions.of_boards() + expressions.of_rules():
        try:
            is_there = has_data(expression.text)
            lacking = [part for part in parts(expression) if not has_data(part)]
        except OSError as error:
            failed.append(f"{expression.where}: {error}")
            continue
        executed += 1
        failed += [f"{expression.where}: no data for a part of it: {part}" for part in lacking]
        if is_there:
            continue
        why = reason(expression)
        if why is None:
            failed.append(f"{expression.where}: no data: {expression.text}")
        else:
            empty.append((expression.where, why))
    return executed, empty, failed


def parts(expression):
    """What has data whatever happens: of rules both sides of each comparison, of all each selector."""
    sides = promql.sides(expression.text) if expression.kind in ("alert", "record") else []
    return sides + [selector for selector in promql.selectors(expression.text)
                    if not any(name in selector for name in reasons.COME_WITH_USE)]


def is_number(value):
    return re.fullmatch(r"NaN|[+-]Inf", value) is None


def reason(expression):
    if expression.kind == "alert":
        return "an alarm is silent while nothing is wrong; each part of it has data, and its tests have it fire"
    for part, why in reasons.MAY_BE_EMPTY:
        if part in expression.text:
            return why
    return None


def run(onsale, pictures=None):
    """The text of a node's metrics after the sale, and what became of each expression. Where `pictures` is
    a folder, the boards are drawn there."""
    folder = Path(tempfile.mkdtemp(prefix="onsale-grafana-"))
    sale = prometheus = None
    try:
        sale = Sale(onsale, folder)
        addresses = sale.addresses()
        prometheus = Prometheus(addresses, folder)
        prometheus.wait_until_up()
        begun = time.time()
        sale.wait()
        # The recorded series of five minutes' windows are evaluated every 15 seconds.
        time.sleep(20)
        texts = [metrics(address) for address in addresses]
        ended = time.time()
        if pictures is not None:
            def ask(text):
                return over(prometheus, text, begun, ended)["result"]

            for file in draw.draw(ask, begun, ended, pictures):
                print(f"drawn: {file}")
        executed, empty, failed = execute(prometheus, begun, ended)
        return texts, (executed, empty, failed + prometheus.pages())
    finally:
        for part in (prometheus, sale):
            if part is not None:
                part.stop()
        shutil.rmtree(folder, ignore_errors=True)
