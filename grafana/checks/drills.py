"""One drill for each fault: causes it, waits for its alarms, does what their pages say, and waits until it is
over as the pages tell it."""

import datetime
import json
import os
import resource
import signal
import subprocess

from .expressions import GRAFANA

LET_IN = 'sum(rate(onsale_queue_visitor_events_total{event="released"}[15s]))'
SHED = ("sum(rate(onsale_gateway_busy_calls_total[1m])) / (sum(rate(onsale_gateway_calls_total[1m]))"
        " + sum(rate(onsale_gateway_busy_calls_total[1m])))")
SMALL = {"seats": 600, "visitors": 600, "seconds": 5}


def majority_lost(drill):
    """Two of three nodes are killed: GroupWithoutLeader, NodeDown, SellErrorsBurn*."""
    drill.until("onsale:answers:rate5m", lambda rate: rate > 0.5)
    _, leader = drill.group()
    stays = 1 + leader % 3
    for node in {1, 2, 3} - {stays}:
        drill.kill(node)
    drill.until_burns("GroupWithoutLeader", "NodeDown", seconds=90)
    drill.show("onsale_node_ready")
    drill.ctl("nodes", "list", node=stays)
    for node in {1, 2, 3} - {stays}:
        drill.start(node)
    drill.until_over("GroupWithoutLeader", "NodeDown")
    drill.until("sum by (group) (onsale_raft_leader)", lambda leaders: leaders == 1)
    drill.until_burns("SellErrorsBurnFast", "SellErrorsBurnSlow", seconds=60)
    drill.show('sum by (ending) (onsale_gateway_undecided_calls_total{entry=~"unary|session"}) > 0')
    drill.ctl("groups", "list")
    drill.until_over("SellErrorsBurnFast", "SellErrorsBurnSlow", seconds=600)


def leader_alone(drill):
    """Of three nodes both that follow are killed, and the leader stays: GroupWithoutLeader."""
    drill.until("onsale:answers:rate5m", lambda rate: rate > 0.5)
    group, leader = drill.group()
    for node in sorted({1, 2, 3} - {leader}):
        drill.kill(node)
    drill.until_burns("GroupWithoutLeader", seconds=90)
    drill.show("onsale_raft_leader")
    drill.show("onsale_node_ready")
    drill.ctl("groups", "list", node=leader)
    drill.others()
    for node in sorted({1, 2, 3} - {leader}):
        drill.start(node)
    drill.until_over("GroupWithoutLeader", "NodeDown")
    drill.until("sum by (group) (onsale_raft_leader)", lambda leaders: leaders == 1)


def node_cut_off(drill):
    """The leader is cut off from the others and from nobody else: PeerSilent."""
    drill.until("onsale:answers:rate5m", lambda rate: rate > 0.5)
    group, leader = drill.group()
    other = 1 + leader % 3
    drill.cut(leader)
    drill.until_burns("PeerSilent", seconds=150)
    drill.show("onsale_cluster_silent_peers")
    drill.show("onsale_node_ready")
    drill.show(f'onsale_raft_leader{{group="{group}"}}')
    drill.ctl("nodes", "list", node=other)
    drill.ctl("groups", "list", node=other)
    drill.others()
    shell(drill, f"grep -h 'a peer does not answer' {drill.data}/*.log | tail -4")
    drill.heal()
    drill.until_over("PeerSilent")
    drill.until("onsale_cluster_silent_peers", lambda silent: silent == 0)
    drill.until("sum by (group) (onsale_raft_leader)", lambda leaders: leaders == 1)


def rooms_shut(drill):
    """A room awaits its beacon, another is paused, and of a third the sale is: RoomAwaitsBeacon, RoomLeftShut."""
    plan = str(GRAFANA.parent / "config" / "plans" / "theatre.json")

    def moment(seconds):
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
        return at.strftime("%Y-%m-%dT%H:%M:%SZ")

    events = []
    for name, more in ("drawn", ["--beacon"]), ("paused", []), ("stopped", []):
        made = json.loads(drill.ctl("events", "create", "--name", name, "--plan", plan, "--json", quiet=True))
        event = str(made["event_id"])
        drill.ctl("queue", "arm", event, "--lobby-at", moment(0), "--opens-at", moment(5), "--per-minute", "60", *more)
        drill.visit(event, 500)
        events.append(event)
    drawn, paused, stopped = events
    drill.ctl("queue", "pause", paused)
    # Before its room has opened there is no sale to pause.
    drill.wait(30, "the third room opens", lambda: drill.ctl("events", "pause", stopped, quiet=True))
    drill.say(f"$ onsale ctl events pause {stopped}")
    drill.until_burns("RoomAwaitsBeacon")
    drill.show("onsale_queue_held_up_rooms > 0")
    drill.ctl("events", "list", "--trouble")
    drill.ctl("queue", "beacon", drawn, "5e" * 32)
    drill.until_over("RoomAwaitsBeacon")
    drill.until(LET_IN, lambda rate: rate > 0)
    drill.until_burns("RoomLeftShut", seconds=720)
    drill.others()
    drill.ctl("events", "list", "--trouble")
    drill.ctl("queue", "resume", paused)
    drill.ctl("events", "resume", stopped)
    drill.until_over("RoomLeftShut")
    drill.ctl("events", "list", "--trouble")


def alone_after_start(drill):
    """All nodes are killed and one is started: NodeNotReady."""
    for node in 1, 2, 3:
        drill.kill(node)
    drill.start(2)
    drill.until_burns("NodeNotReady")
    drill.show("onsale_node_ready")
    shell(drill, f"curl -s -w ' %{{http_code}}\\n' http://{drill.http[1]}/readyz")
    drill.others()
    drill.start(1)
    drill.until_over("NodeNotReady")
    drill.until('onsale_node_ready', lambda ready: ready == 1)
    shell(drill, f"curl -s -w ' %{{http_code}}\\n' http://{drill.http[1]}/readyz")


def slow_disk(drill):
    """Each sync of two nodes takes long: FsyncSlow, SlowAnswersBurn*."""
    drill.until("onsale:answers:rate5m", lambda rate: rate > 0.5)
    group, leader = drill.group()
    follower = 1 + leader % 3
    drill.slow_sync(leader, 400)
    drill.slow_sync(follower, 400)
    drill.until_burns("FsyncSlow", "SlowAnswersBurnFast", "SlowAnswersBurnSlow", seconds=300)
    drill.show("histogram_quantile(0.99, sum by (instance, le) (rate(onsale_log_fsync_seconds_bucket[2m])))")
    shell(drill, "command -v iostat pidstat; pidstat -d 1 1 | head -8")
    drill.slow_sync(follower, 0)
    drill.ctl("groups", "transfer", group, str(follower))
    drill.until('histogram_quantile(0.99, sum by (le) (rate(onsale_gateway_answer_seconds_bucket{entry=~"unary|session"}[15s])))',
                lambda seconds: seconds < 0.25, 60)
    drill.say("its leadership moved away, partners wait no longer, though one disk is still slow")
    drill.slow_sync(leader, 0)
    drill.until_over("FsyncSlow", "SlowAnswersBurnFast", "SlowAnswersBurnSlow", seconds=600)


def room_stalled(drill):
    """A room whose ceiling is 0: QueueStalled."""
    drill.until_burns("QueueStalled")
    drill.show("onsale_queue_stalled_rooms > 0")
    drill.ctl("queue", "show", drill.event)
    drill.ctl("queue", "set", drill.event, "--per-minute", "none")
    drill.until(LET_IN, lambda rate: rate > 1)
    drill.until_over("QueueStalled")


def leadership_moves(drill):
    """Leadership is handed round: LeadershipRestless."""
    group, leader = drill.group()
    for turn in range(1, 8):
        to = 1 + (leader + turn) % 3
        drill.ctl("groups", "transfer", group, str(to))
        drill.until(f'sum(onsale_raft_leader{{group="{group}"}})', lambda leaders: leaders == 1)
    drill.until_burns("LeadershipRestless")
    drill.show("sum by (instance) (increase(onsale_raft_elections_won_total[5m]))")
    drill.until_over("LeadershipRestless", seconds=780)


def partners_silent(drill):
    """Partners stop calling while visitors are let in: NothingSold."""
    drill.until("sum(rate(onsale_sale_orders_placed_total[15s]))", lambda rate: rate > 1)
    drill.say("the load stands still")
    os.kill(drill.demo.pid, signal.SIGSTOP)
    drill.until_burns("NothingSold", seconds=600)
    drill.show("sum by (state) (onsale_queue_visitors)")
    drill.show('sum by (method) (rate(onsale_rpc_requests_total[1m])) > 0')
    drill.ctl("partners", "list")
    drill.others()
    # A crowd that was told nothing for so long gives up, so it stays away.
    drill.ctl("queue", "pause", drill.event)
    drill.until_over("NothingSold", seconds=720)
    drill.show("sum by (state) (onsale_queue_rooms)")


def disk_filling(drill):
    """Something else takes most of a disk at once: DiskFilling, DiskNearlyFull."""
    folder = drill.small_disk(2, 800)
    drill.wait(60, "is ready", drill.is_ready)
    room = os.statvfs(folder)
    fill(drill, folder / "else", room.f_bavail * room.f_frsize - int(0.12 * room.f_blocks * room.f_frsize))
    drill.until_burns("DiskFilling", "DiskNearlyFull", seconds=420, node=2)
    drill.show("onsale_node_disk_free_bytes / onsale_node_disk_bytes")
    for group in ("0", drill.group()[0]):
        drill.ctl("groups", "snapshot", group, node=2)
    drill.stop(2)
    shell(drill, f"rm -rf {folder}/index")
    drill.start(2)
    drill.until("onsale_index_sales_missing", lambda missing: missing == 0)
    shell(drill, f"rm {folder}/else")
    drill.until_over("DiskFilling", "DiskNearlyFull", node=2)


def disk_full(drill):
    """A follower's disk has no byte left while much is sold: DiskFull."""
    _, leader = drill.group()
    follower = 1 + leader % 3
    folder = drill.small_disk(follower, 800)
    drill.wait(60, "is ready", drill.is_ready)
    room = os.statvfs(folder)
    fill(drill, folder / "else", room.f_blocks * room.f_frsize)
    drill.until_burns("DiskFull", seconds=400)
    drill.show("onsale_log_disk_full")
    drill.show("onsale_node_ready")
    drill.ctl("groups", "list")
    drill.others()
    drill.lives(follower, 180)
    drill.show("onsale_log_disk_full")
    shell(drill, f"rm {folder}/else")
    drill.until_over("DiskFull")
    drill.show("onsale_log_disk_full")


def index_broken(drill):
    """A file stands where the index wants its folder: IndexDown."""
    drill.stop(2)
    shell(drill, f"rm -rf {drill.data}/node-2/index && touch {drill.data}/node-2/index")
    drill.start(2)
    drill.until_burns("IndexDown", seconds=500)
    drill.show("onsale_index_up")
    drill.ctl("orders", "list", node=2)
    drill.ctl("orders", "list", node=1)
    drill.stop(2)
    shell(drill, f"rm -r {drill.data}/node-2/index")
    drill.start(2)
    drill.until_over("IndexDown")
    drill.until("onsale_index_up", lambda up: up == 1)


def files_few(drill):
    """A limit just above what is open: FilesRunningOut."""
    pid = drill.pid(2)
    shell(drill, f"ls /proc/{pid}/fd | wc -l; ss -tn state established | wc -l")
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    few = int(len(os.listdir(f"/proc/{pid}/fd")) * 1.1)
    drill.say(f"node 2 may open {few} files")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, before[1]))
    drill.until_burns("FilesRunningOut", seconds=300)
    drill.show("process_open_fds / process_max_fds")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    drill.until_over("FilesRunningOut")
    drill.show("process_open_fds / process_max_fds")


def node_stopped(drill):
    """A node's process is stopped for a while, as a machine that is paused: NodeDown."""
    drill.until("onsale:answers:rate5m", lambda rate: rate > 0.5)
    _, leader = drill.group()
    drill.signal(leader, signal.SIGSTOP)
    drill.until_burns("NodeDown", seconds=100)
    drill.until("min(sum by (group) (onsale_raft_leader))", lambda leaders: leaders == 1)
    drill.ctl("nodes", "list", node=1 + leader % 3)
    drill.ctl("groups", "list", node=1 + leader % 3)
    drill.signal(leader, signal.SIGCONT)
    drill.until_over("NodeDown")
    drill.until("onsale_node_ready", lambda ready: ready == 1)


def queue_small(drill):
    """A sale that takes ten calls at a time, and more callers than its queue has room for: CallsShed."""
    drill.until("onsale:answers:rate5m", lambda rate: rate > 0.5)
    _, leader = drill.group()
    for node in sorted({1, 2, 3} - {leader}) + [leader]:
        drill.set(node, sale__queue_commands=1000, sale__batch_commands=10, sale__in_flight=1)
        drill.again(node)
    group, leads = drill.group()
    drill.slow_sync(leads, 10)
    drill.slow_sync(1 + leads % 3, 10)
    drill.say(f"partners call node {leader}, node {leads} leads")
    drill.until_burns("CallsShed", seconds=300)
    drill.show(SHED)
    drill.show('sum by (entry, ending) (rate(onsale_gateway_undecided_calls_total[1m])) > 0')
    drill.others()
    for node in 1, 2, 3:
        drill.set(node, partner__calls_per_s=200)
        drill.again(node)
    drill.until_over("CallsShed")
    drill.until(SHED, lambda share: share < 0.01)


def releases_slow(drill):
    """Each sync of two nodes takes 0.9 s, which time-outs and what a hold may take bear, while a room lets in ten a
    second: OutflowBelowTarget."""
    drill.until('sum(onsale_queue_visitors{state="waiting"})', lambda waiting: waiting >= 5000)
    drill.ctl("queue", "set", drill.event, "--per-minute", "600", "--hold-ms", "5000")
    drill.until(LET_IN, lambda rate: rate > 5)
    drill.hush()
    for node in 1, 2, 3:
        drill.set(node, raft__election_min_ms=5000, raft__election_max_ms=10_000)
        drill.again(node)
    drill.until(LET_IN, lambda rate: rate > 8)
    drill.show("sum(onsale_queue_outflow_target_per_second)")
    _, leader = drill.group()
    follower = 1 + leader % 3
    drill.slow_sync(leader, 900)
    drill.slow_sync(follower, 900)
    drill.until_burns("OutflowBelowTarget", seconds=480)
    drill.ctl("queue", "show", drill.event)
    drill.show('sum(rate(onsale_queue_visitor_events_total{event="released"}[2m]))')
    drill.show("sum(avg_over_time(onsale_queue_outflow_target_per_second[2m]))")
    drill.show("histogram_quantile(0.99, sum by (instance, le) (rate(onsale_log_fsync_seconds_bucket[2m])))")
    drill.show("sum by (group) (increase(onsale_raft_elections_won_total[5m])) > 0")
    drill.others()
    drill.slow_sync(leader, 0)
    drill.slow_sync(follower, 0)
    drill.until_over("OutflowBelowTarget")
    drill.until(LET_IN, lambda rate: rate > 8)


def follower_behind(drill):
    """Each sync of a follower takes 20 s, and its time-outs bear that: ReplicaBehind, FsyncSlow."""
    drill.until("onsale:answers:rate5m", lambda rate: rate > 0.5)
    group, leader = drill.group()
    follower = 1 + leader % 3
    commit = f'onsale_raft_commit_index{{group="{group}"}}'
    lag = f"max({commit}) - on () group_right () {commit}"
    drill.set(follower, raft__election_min_ms=60_000, raft__election_max_ms=120_000)
    drill.again(follower)
    drill.show(f"rate({commit}[15s])")
    drill.slow_sync(follower, 20_000)
    drill.until_burns("ReplicaBehind", "FsyncSlow", seconds=300)
    drill.show("onsale_log_write_under_way_seconds")
    drill.show(lag)
    drill.ctl("groups", "list")
    drill.show("histogram_quantile(0.99, sum by (instance, le) (rate(onsale_log_fsync_seconds_bucket[2m])))")
    drill.others()
    drill.slow_sync(follower, 0)
    drill.until(lag, lambda behind: behind < 100)
    drill.until_over("ReplicaBehind", "FsyncSlow")


def actor_slow(drill):
    """A follower is a build whose actor sleeps for each entry (--slow): ApplyLag."""
    drill.until("onsale:answers:rate5m", lambda rate: rate > 0.5)
    group, leader = drill.group()
    follower = 1 + leader % 3
    lag = f'onsale_raft_commit_index{{group="{group}"}} - onsale_raft_apply_index'
    drill.show(f'rate(onsale_raft_commit_index{{group="{group}"}}[15s])')
    drill.ctl("groups", "snapshot", group, node=follower)
    drill.stop(follower)
    drill.start(follower, program=drill.slow)
    drill.until_burns("ApplyLag", seconds=300)
    drill.show(lag)
    drill.show("rate(process_cpu_seconds_total[30s])")
    drill.ctl("groups", "list")
    drill.others()
    drill.kill(follower)
    drill.start(follower)
    drill.until_over("ApplyLag")
    drill.until(lag, lambda behind: behind < 10)


def index_held_up(drill):
    """A thousand sales on a node whose index may write a hundred rows a second: IndexLag."""
    sold = 'sum(onsale_sale_seats{state="sold"})'
    drill.until(sold, lambda seats: seats > 85000, seconds=300)
    drill.hush()
    drill.sleep(5)
    drill.show(sold)
    drill.set(2, index__rows_per_s_max=100)
    drill.stop(2)
    shell(drill, f"rm -rf {drill.data}/node-2/index")
    drill.start(2)
    drill.until(f'onsale_index_sales_missing{{instance="{drill.http[1]}"}}', lambda missing: missing > 0)
    drill.until_burns("IndexLag", seconds=780, node=2)
    drill.show("onsale_index_sales_missing")
    drill.show("onsale_index_rebuilds_total > 0")
    drill.ctl("orders", "list", node=2)
    drill.ctl("orders", "list", node=1)
    drill.set(2, index__rows_per_s_max=50000)
    drill.again(2)
    drill.until_over("IndexLag", node=2)
    drill.until("onsale_index_sales_missing", lambda missing: missing == 0)


def flat_out(drill):
    """Nothing is wrong, and three nodes do all that they can: no alarm of replication burns."""
    quiet = "ApplyLag|PeerSilent|ReplicaBehind|GroupWithoutLeader|LeadershipRestless"
    drill.sleep(180)
    drill.show("sum(max_over_time(onsale:answers:rate5m[3m]))")
    drill.show("max by (instance) (rate(process_cpu_seconds_total[1m]))")
    drill.show("max(max_over_time((onsale_raft_commit_index - onsale_raft_apply_index)[3m:1s]))")
    drill.show("max by (instance) (max_over_time(onsale_sale_unapplied_entries[3m]))")
    drill.show("max by (instance) (quantile_over_time(0.9, onsale_sale_unapplied_entries[3m]))")
    drill.show("max by (instance) (max_over_time(onsale_cluster_silent_peers[3m]))")
    seen = drill.query(f'sum by (alertname, alertstate) (count_over_time(ALERTS{{alertname=~"{quiet}"}}[3m]))')
    drill.say(f"of {quiet}, evaluations: {seen or 'none'}")
    drill.others()
    if any("firing" in alarm for alarm in seen):
        raise LookupError("an alarm burned though nothing was wrong")


# By name: what is done, and the crowd it is done to.
DRILLS = {
    "majority-lost": (majority_lost, {"seconds": 600}),
    "leader-alone": (leader_alone, {"seconds": 300}),
    "node-cut-off": (node_cut_off, {"seconds": 300, "own_net": True}),
    "rooms-shut": (rooms_shut, SMALL),
    "alone-after-start": (alone_after_start, SMALL),
    "slow-disk": (slow_disk, {"seconds": 900}),
    "room-stalled": (room_stalled, {"load": ["bench", "--workload", "queue", "--visitors", "5000", "--watchers", "10",
                                             "--concurrency", "1", "--sessions", "1", "--seconds", "240"]}),
    "leadership-moves": (leadership_moves, SMALL),
    "partners-silent": (partners_silent, {"seconds": 900}),
    "disk-filling": (disk_filling, SMALL),
    "disk-full": (disk_full, {"load": ["bench", "--concurrency", "64", "--seconds", "900"]}),
    "index-broken": (index_broken, SMALL),
    "files-few": (files_few, SMALL),
    "node-stopped": (node_stopped, {"seconds": 300}),
    "queue-small": (queue_small, {"load": ["bench", "--workload", "uniform", "--mode", "unary", "--concurrency", "1100",
                                           "--sessions", "8", "--seconds", "1200"]}),
    "releases-slow": (releases_slow, {"load": ["bench", "--workload", "queue", "--visitors", "5000", "--watchers", "10",
                                               "--concurrency", "1", "--sessions", "1", "--seconds", "900"]}),
    "follower-behind": (follower_behind, {"load": ["bench", "--workload", "uniform", "--mode", "unary", "--concurrency",
                                                   "2", "--sessions", "1", "--seconds", "1200"]}),
    "actor-slow": (actor_slow, {"load": ["bench", "--workload", "uniform", "--mode", "unary", "--concurrency", "2",
                                         "--sessions", "1", "--seconds", "900"]}),
    "flat-out": (flat_out, {"load": ["bench", "--workload", "hot", "--seconds", "240"]}),
    "flat-out-many": (flat_out, {"load": ["bench", "--workload", "many", "--seconds", "240"]}),
    "index-held-up": (index_held_up, {"load": ["bench", "--workload", "many", "--concurrency", "4", "--sessions", "3",
                                               "--seconds", "600"]}),
}


def shell(drill, command):
    drill.say(f"$ {command}")
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    for line in (done.stdout + done.stderr).rstrip().splitlines()[:10]:
        drill.say(f"    {line}")


def fill(drill, file, size):
    """As much of `size` bytes as there is room for, to the last page."""
    taken, step = 0, size
    with file.open("wb") as out:
        while step >= 4096 and taken < size:
            try:
                os.posix_fallocate(out.fileno(), taken, min(step, size - taken))
                taken += min(step, size - taken)
            except OSError:
                step //= 2
    drill.say(f"{file.name} takes {taken >> 20} MiB of the disk")
