"""Waiting rooms: who comes, who is let in, who goes."""

from board import FOLLOWS, NO_ALARM, Why, above, below, board, panel

EVENTS = "onsale_queue_visitor_events_total"
HERE = 'instance=~"$node"'
SIZE = 'size=~"$size",' + HERE


def rate(event):
    return f'sum(rate({EVENTS}{{{SIZE},event="{event}"}}[$__rate_interval]))'


def share(part, of):
    """Of those of whom it is known by now."""
    return (f'sum(rate({EVENTS}{{{SIZE},event="{part}"}}[2m]))'
            f' / sum(rate({EVENTS}{{{SIZE},event=~"{of}"}}[2m]))')


RATIO = "onsale_queue_wait_ratio"
FOLLOWED = "onsale_queue_waits_followed_total"


def waits_up_to(ratio):
    """The share of waits that were at most so many times what was told."""
    return f'sum(rate({RATIO}_bucket{{le="{ratio}"}}[5m])) / sum(rate({RATIO}_count[5m]))'


def quantile(of, histogram):
    return f"histogram_quantile({of}, sum by (le) (rate({histogram}_bucket[5m])))"


BOARD = board("onsale-waiting-room", "Waiting room", "Who comes, who is let in, who goes.", [
    panel("Does any room stand still?", "0.",
          [("sum(onsale_queue_stalled_rooms)", "stalled")],
          steps=above(red=1), runbook="queue-stalled", kind="stat", width=6, height=5),
    panel("Is any room shut after its opening?", "0: none awaits its beacon, none is paused, no sale is shut behind it.",
          [("sum by (why) (onsale_queue_held_up_rooms)", "{{why}}")],
          steps=above(red=1), runbook="room-held-up", kind="stat", width=6, height=5),
    panel("What are the rooms doing?", "Gathering before the opening, open after it; paused only on purpose.",
          [("sum by (state) (onsale_queue_rooms{%s})" % SIZE, "{{state}}")], kind="stat", width=6, height=5,
          steps=Why("each state is right at its time"), runbook="queue-stalled"),
    panel("How long is who comes now told to wait?", "Falls by a second a second once nobody comes any more. No data: people wait and nobody is let in.",
          [("max(onsale_queue_expected_wait_seconds{%s} >= 0) or on () sum(onsale_queue_visitors{%s,state=\"waiting\"}) == 0" % (SIZE, SIZE),
            "in the room with the longest wait")],
          unit="s", kind="stat", width=6, height=5, runbook="outflow-below-target",
          steps=Why("how long people wait is the event's")),
    panel("How many wait, and how many are at the desk?", "Waiting falls; the desk stays level.",
          [("sum by (state) (onsale_queue_visitors{%s})" % SIZE, "{{state}}")], width=12, runbook="queue-stalled",
          steps=FOLLOWS),
    panel("Are visitors let in as fast as is aimed at?", "Let in lies on the target, and the target under the capacity.",
          [(rate("released"), "let in"),
           ("sum(onsale_queue_outflow_target_per_second{%s})" % SIZE, "target"),
           ("sum(onsale_queue_capacity_per_second{%s})" % SIZE, "capacity")],
          unit="ops", width=12, runbook="outflow-below-target", steps=Why("the target is the limit")),
    panel("How fast do visitors come?", "A peak before the opening, then less each minute.",
          [(rate("joined"), "come"),
           (rate("left"), "leave"),
           (rate("removed"), "taken out")],
          unit="ops", steps=FOLLOWS, runbook=NO_ALARM),
    panel("How many of those let in take tickets?", "Most of them; the law counts on what it measures.",
          [(share("served", "served|no_show"), "took tickets")],
          unit="percentunit", steps=below(yellow=0.5, red=0.2), runbook="nothing-sold"),
    panel("How many leave before it is their turn?", "Under a tenth.",
          [(share("left", "left|released"), "left of those who left or were let in")], unit="percentunit",
          steps=above(yellow=0.1), runbook=NO_ALARM),
    panel("Is the wait true that visitors are told?", "Most are as told: no more than a fifth less or a quarter more.",
          [(f"{waits_up_to(1.25)} - {waits_up_to(0.8)}", "as told"),
           (waits_up_to(0.8), "shorter"),
           (f"1 - {waits_up_to(1.25)}", "longer")],
          unit="percentunit", steps=Why("the next two panels have them"), runbook="outflow-below-target"),
    panel("By how much is that wait off?", "Half of them under a minute; more where people wait for hours.",
          [(quantile(0.5, "onsale_queue_wait_error_seconds"), "half"),
           (quantile(0.9, "onsale_queue_wait_error_seconds"), "nine in ten")],
          unit="s", steps=above(yellow=300, red=900), runbook="outflow-below-target"),
    panel("How many wait longer than nine in ten should?", "About one in ten.",
          [(f'sum(rate(onsale_queue_waits_beyond_p90_total[5m])) / sum(rate({FOLLOWED}{{fate="let_in"}}[5m]))', "of those let in")],
          unit="percentunit", steps=above(yellow=0.2, red=0.4), runbook="outflow-below-target"),
    panel("What becomes of those who were told a wait?", "Nearly all are let in: their wait is what is compared.",
          [(f"sum by (fate) (rate({FOLLOWED}[5m]))", "{{fate}}")], unit="ops", steps=FOLLOWS,
          runbook="outflow-below-target"),
    panel("How long does letting in take?", "Under 250 ms: there is a look at each room every quarter of a second.",
          [(quantile(0.5, "onsale_queue_look_seconds"), "half"),
           (quantile(0.99, "onsale_queue_look_seconds"), "99 of 100")],
          unit="s", steps=above(yellow=0.25, red=1), runbook="queue-stalled"),
    panel("Do looks at rooms pile up?", "0; else the log or the sale takes longer than a look.",
          [("sum(onsale_queue_looks_due)", "due")], steps=above(yellow=4, red=16), runbook="queue-stalled"),
    panel("How busy are the doors of the room?", "Joins in the lobby, claims after the opening; reads all the time.",
          [("sum by (method) (rate(onsale_rpc_requests_total{%s,method=~\"join|join_many|status|status_many|claim|leave|proof\"}[$__rate_interval]))" % HERE, "{{method}}")],
          unit="reqps", width=12, steps=FOLLOWS, runbook="calls-shed"),
    panel("How long do the doors of the room take?", "Under 100 ms.",
          [("histogram_quantile(0.99, sum by (le, method) (rate(onsale_rpc_seconds_bucket{%s,method=~\"join|join_many|status|status_many|claim\"}[$__rate_interval])))" % HERE, "{{method}}, 99 of 100")],
          unit="s", steps=above(yellow=0.1, red=0.25), width=12, runbook="slow-answers-burn"),
])
