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
    panel("How long will the last in line wait?", "Falls by a second a second.",
          [("sum(onsale_queue_visitors{%s,state=\"waiting\"}) / (sum(rate(%s{%s,event=\"released\"}[2m])) > 0)" % (SIZE, EVENTS, SIZE), "at this pace")],
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
    panel("How busy are the doors of the room?", "Joins in the lobby, claims after the opening; reads all the time.",
          [("sum by (method) (rate(onsale_rpc_requests_total{%s,method=~\"join|join_many|status|status_many|claim|leave|proof\"}[$__rate_interval]))" % HERE, "{{method}}")],
          unit="reqps", width=12, steps=FOLLOWS, runbook="calls-shed"),
    panel("How long do the doors of the room take?", "Under 100 ms.",
          [("histogram_quantile(0.99, sum by (le, method) (rate(onsale_rpc_seconds_bucket{%s,method=~\"join|join_many|status|status_many|claim\"}[$__rate_interval])))" % HERE, "{{method}}, 99 of 100")],
          unit="s", steps=above(yellow=0.1, red=0.25), width=12, runbook="slow-answers-burn"),
])
