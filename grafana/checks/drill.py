"""A cluster that is selling, beside a Prometheus with our alarms, on which faults are caused: what
`grafana/runbooks/try` does its drills on. Three processes on loopback, a folder of their own."""

import ctypes
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import tomllib
import urllib.request
from pathlib import Path

from .live import NODES, Prometheus

# Of unshare(2) and setns(2).
CLONE_NEWNET = 0x40000000


class Drill:
    """A crowd buys at three nodes for about `seconds`, or `load` does something else to three nodes of its
    own; nodes are numbered from 1."""

    def __init__(self, onsale, name, seats=20000, visitors=60000, seconds=300, load=(), slow=None, own_net=False,
                 say=print):
        self.onsale, self.name, self.begun, self.tell = Path(onsale).resolve(), name, time.monotonic(), say
        self.slow = slow
        self.folder = Path(tempfile.mkdtemp(prefix=f"onsale-drill-{name}-"))
        self.data = self.folder / "nodes"
        self.words = (self.folder / "demo.log").open("w+")
        self.started, self.mounts, self.slowed, self.prometheus = {}, [], {}, None
        demo = ["demo", "--keep", "--kills", "0", "--seats", str(seats), "--visitors", str(visitors),
                "--seconds", str(seconds)]
        self.has_doors = not load
        self.net_before = None
        if own_net:
            self.net_before = os.open("/proc/self/ns/net", os.O_RDONLY)
            in_net("unshare", CLONE_NEWNET)
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        self.demo = subprocess.Popen(
            [self.onsale, *(load or demo), "--data", self.data],
            stdout=self.words, stderr=self.words, stdin=subprocess.DEVNULL,
        )

    def __enter__(self):
        try:
            self.configs = self.wait(60, "the nodes start", self.read_configs)
            self.http = [config["node"]["http_address"] for config in self.configs]
            self.key = self.configs[0]["http"]["operator_key"]
            self.prometheus = Prometheus(self.http, self.folder)
            self.prometheus.wait_until_up()
            self.event = self.wait(120, "the doors open", self.read_event)
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        if self.prometheus:
            self.prometheus.stop()
        for process in [*self.slowed.values(), *self.started.values()]:
            process.kill()
        # Its nodes end with it.
        self.demo.kill()
        self.demo.wait()
        self.words.close()
        for mount in self.mounts:
            subprocess.run(["umount", "--lazy", mount], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.net_before is not None:
            in_net("setns", self.net_before, CLONE_NEWNET)
            os.close(self.net_before)

    def say(self, text):
        self.tell(f"{self.name} {time.monotonic() - self.begun:6.1f} s  {text}", flush=True)

    def sleep(self, seconds):
        self.say(f"{seconds} s pass")
        time.sleep(seconds)

    def wait(self, seconds, what, look):
        """What `look` gives once it gives anything."""
        until = time.monotonic() + seconds
        while True:
            found = look()
            if found:
                return found
            if time.monotonic() > until:
                raise TimeoutError(f"{self.name}: not within {seconds} s: {what}")
            time.sleep(0.5)

    def read_configs(self):
        files = sorted(self.data.glob("node-*.toml"))
        try:
            read = [tomllib.loads(file.read_text()) for file in files]
        except tomllib.TOMLDecodeError:
            return None
        return read if len(read) == NODES and all("http" in config for config in read) else None

    def read_event(self):
        """Its id, once the crowd is let in."""
        if self.has_doors and "Doors open" not in Path(self.words.name).read_text():
            return None
        events = json.loads(self.ctl("events", "list", "--json", quiet=True) or "{}")
        rows = events.get("events", events) if isinstance(events, dict) else events
        return str(rows[0].get("event_id") or rows[0].get("id")) if rows else None

    def ctl(self, *words, node=None, quiet=False, key=None):
        """`onsale ctl` at a node that answers."""
        for http in [self.http[node - 1]] if node else self.http:
            command = [self.onsale, "ctl", "--url", f"http://{http}", "--key", self.key]
            command += ["--idempotency-key", key] if key else []
            done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=60)
            if done.returncode == 0:
                break
        if not quiet:
            self.say(f"$ onsale ctl {shlex.join(words)}")
            for line in (done.stdout + done.stderr).rstrip().splitlines()[:14]:
                self.say(f"    {line}")
        return done.stdout if done.returncode == 0 else None

    def group(self):
        """Number and leader of the event's group."""
        lines = (self.ctl("events", "list", quiet=True) or "").splitlines()
        group, leader = lines[-1].split()[-2:]
        return group, int(leader)

    def hush(self):
        """Nobody calls any more; the nodes go on."""
        self.say("the load stands still")
        os.kill(self.demo.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.demo.pid, signal.SIGCONT)

    # What is done to nodes.

    def pid(self, node):
        """Of the node's process: one of the demo's children, or one that was started here."""
        if node in self.started:
            return self.started[node].pid
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if str(self.data / f"node-{node}.toml").encode() in words:
                return int(entry.name)
        raise LookupError(f"node {node} does not run")

    def signal(self, node, what):
        self.say(f"$ kill -{what.name.removeprefix('SIG')} $PID_OF_NODE_{node}")
        os.kill(self.pid(node), what)

    def stop(self, node):
        """In good order, and until it is gone."""
        pid = self.pid(node)
        self.signal(node, signal.SIGTERM)
        self.gone(node, pid)

    def kill(self, node):
        pid = self.pid(node)
        self.signal(node, signal.SIGKILL)
        self.gone(node, pid)

    def gone(self, node, pid):
        if node in self.started:
            self.started.pop(node).wait(30)
            return

        def is_gone():
            try:
                return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
            except OSError:
                return True

        self.wait(30, f"node {node} is gone", is_gone)

    def start(self, node, env=(), program=None):
        self.say(f"$ onsale serve --config node-{node}.toml")
        log = (self.folder / f"again-{node}.log").open("a")
        self.started[node] = subprocess.Popen(
            [program or self.onsale, "serve", "--config", self.data / f"node-{node}.toml"],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=os.environ | dict(env),
        )

    def set(self, node, **keys):
        """Keys of the node's file, section__key=value; read when it starts again."""
        file = self.data / f"node-{node}.toml"
        lines = file.read_text().splitlines()
        for name, value in keys.items():
            section, _, key = name.partition("__")
            begins = lines.index(f"[{section}]")
            at = next(at for at in range(begins, len(lines)) if lines[at].startswith(f"{key} ="))
            lines[at] = f"{key} = {value}"
            self.say(f"node-{node}.toml: {section}.{key} = {value}")
        file.write_text("\n".join(lines) + "\n")

    def again(self, node):
        """Stops and starts the node, and waits until it is ready."""
        self.stop(node)
        self.start(node)
        self.wait(120, f"node {node} is ready", lambda: self.says_ready(node))

    def says_ready(self, node):
        try:
            with urllib.request.urlopen(f"http://{self.http[node - 1]}/readyz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def lives(self, node, seconds):
        """The node's process is the same for so long."""
        pid, until = self.pid(node), time.monotonic() + seconds
        while time.monotonic() < until:
            if self.pid(node) != pid or (node in self.started and self.started[node].poll() is not None):
                raise LookupError(f"node {node} has ended")
            time.sleep(1)
        self.say(f"node {node} lives {seconds} s later")

    def slow_sync(self, node, ms):
        """Holds up each sync of the log by so long, with strace at the thread that syncs."""
        self.say(f"each sync of node {node} takes {ms} ms more")
        slowed = self.slowed.pop(node, None)
        if slowed:
            slowed.terminate()
            slowed.wait()
        if ms:
            threads = Path(f"/proc/{self.pid(node)}/task").iterdir()
            log = next(thread.name for thread in threads if (thread / "comm").read_text() == "log\n")
            self.slowed[node] = subprocess.Popen(
                ["strace", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-p", log,
                 "-e", f"inject=fdatasync:delay_enter={1000 * ms}"], stderr=subprocess.DEVNULL)

    def cut(self, node):
        """Nothing goes between the node and the other nodes any more, one way or the other; what the others have
        open between themselves stays. In a net of the drill's own."""
        ports = {config["node"]["peer_address"].rpartition(":")[2]: number
                 for number, config in enumerate(self.configs, 1)}
        names = {str(self.pid(number)): number for number in range(1, NODES + 1)}
        open_now = subprocess.run(["ss", "-Htnp", "state", "established"], capture_output=True, text=True, check=True)
        kept = []
        for line in open_now.stdout.splitlines():
            _, _, here, there, who = line.split(maxsplit=4)
            caller = names.get(who.partition("pid=")[2].partition(",")[0])
            called = ports.get(there.rpartition(":")[2])
            if caller and called and node not in (caller, called):
                kept.append(here.rpartition(":")[2])
        peers, kept = ", ".join(ports), ", ".join(kept)
        rules = [f"tcp dport {{ {peers} }} tcp sport {{ {kept} }} accept",
                 f"tcp sport {{ {peers} }} tcp dport {{ {kept} }} accept",
                 f"tcp dport {{ {peers} }} drop", f"tcp sport {{ {peers} }} drop"]
        chain = "\n".join(["type filter hook output priority 0;", *rules])
        table = f"table inet drill {{\nchain cut {{\n{chain}\n}}\n}}\n"
        subprocess.run(["nft", "-f", "-"], input=table, text=True, check=True)
        self.say(f"node {node} is cut off from the others")

    def heal(self):
        subprocess.run(["nft", "delete", "table", "inet", "drill"], check=True)
        self.say("the net is whole")

    def visit(self, event, visitors):
        """So many come to the event's room, through a partner of their own: a call of `JoinMany`, by hand."""
        partner = json.loads(self.ctl("partners", "add", f"visitors of {event}", "--json", quiet=True))
        added = json.loads(self.ctl("keys", "add", "--partner", str(partner["partner_id"]), "--json", quiet=True))
        body = b"\x08" + varint(int(event))
        for visitor in range(1, visitors + 1):
            body += b"\x12\x10" + visitor.to_bytes(16, "big")
        file = self.folder / "visitors"
        file.write_bytes(b"\0" + len(body).to_bytes(4, "big") + body)
        address = self.configs[0]["node"]["partner_address"]
        done = subprocess.run(
            ["curl", "-sS", "--http2-prior-knowledge", "-H", "content-type: application/grpc", "-H", "te: trailers",
             "-H", f"authorization: Bearer {added['key']}", "--data-binary", f"@{file}", "-D", "-", "-o", "/dev/null",
             f"http://{address}/onsale.channel.v1.AdmissionService/JoinMany"], capture_output=True, text=True)
        if "grpc-status: 0" not in done.stdout.lower():
            raise LookupError(f"visitors cannot join: {done.stdout}{done.stderr}")
        self.say(f"{visitors} visitors come to event {event}")

    def small_disk(self, node, mib):
        """The node's folder on a disk of its own; the node is stopped and started for it."""
        self.stop(node)
        folder, aside = self.data / f"node-{node}", self.folder / "aside"
        folder.rename(aside)
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "drill", folder], check=True)
        self.mounts.append(folder)
        shutil.copytree(aside, folder, dirs_exist_ok=True)
        shutil.rmtree(aside)
        self.say(f"node {node} has a disk of {mib} MiB")
        self.start(node)
        return folder

    # What is seen.

    def query(self, text):
        """The expression's values now, by labels."""
        found = self.prometheus.ask("query", query=text)["result"]
        return {
            ",".join(f"{k}={v}" for k, v in sorted(row["metric"].items()) if k not in ("__name__", "job")):
            float(row["value"][1]) for row in found
        }

    def show(self, text):
        for labels, value in list(self.query(text).items())[:6]:
            self.say(f"    {text} {{{labels}}} = {value:g}")

    def burns(self, alarm, node=None):
        """Whether it burns, of this node if one is named."""
        where = f',instance="{self.http[node - 1]}"' if node else ""
        return self.query(f'ALERTS{{alertname="{alarm}",alertstate="firing"{where}}}')

    def until_burns(self, *alarms, seconds=240, node=None):
        for alarm in alarms:
            self.wait(seconds, f"{alarm} burns", lambda: self.burns(alarm, node))
            self.say(f"{alarm} BURNS")

    def until_over(self, *alarms, seconds=420, node=None):
        for alarm in alarms:
            self.wait(seconds, f"{alarm} is over", lambda: not self.burns(alarm, node))
            self.say(f"{alarm} is over")

    def until(self, text, holds, seconds=120):
        """The expression has values, and `holds` is true of each."""
        def look():
            found = self.query(text)
            return found if found and all(map(holds, found.values())) else None

        self.wait(seconds, text, look)
        self.show(text)

    def is_ready(self):
        return self.query("sum(onsale_node_ready)").get("") == NODES

    def others(self):
        """What else burns."""
        burning = self.query('ALERTS{alertstate="firing"}')
        names = sorted({label.partition("alertname=")[2].partition(",")[0] for label in burning})
        self.say(f"burning now: {', '.join(names) or 'nothing'}")


def in_net(call, *arguments):
    """Of libc, for this thread and what it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, call)(*arguments) != 0:
        trouble = ctypes.get_errno()
        raise OSError(trouble, f"{call}: {os.strerror(trouble)}")


def varint(number):
    """As protobuf writes it."""
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])
