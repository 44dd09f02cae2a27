"""Waiting rooms: who comes, who is let in, who goes."""

from board import above, board, panel

EVENTS = "onsale_queue_visitor_events_total"


def share(part, of):
    return f'sum(rate({EVENTS}{{event="{part}"}}[2m])) / sum(rate({EVENTS}{{event=~"{of}"}}[2m]))'


BOARD = board("onsale-waiting-room", "Waiting room", "Who comes, who is let in, who goes.", [
    panel("Does any room stand still?", "0.",
          [("sum(onsale_queue_stalled_rooms)", "stalled")],
          steps=above(red=1), runbook="queue-stalled", kind="stat", width=6, height=5),
    panel("What are the rooms doing?", "Gathering before the opening, open after it; paused only on purpose.",
          [("sum by (state) (onsale_queue_rooms)", "{{state}}")], kind="stat", width=10, height=5),
    panel("How long will the last in line wait?", "Falls by a second a second.",
          [("sum(onsale_queue_visitors{state=\"waiting\"}) / (sum(rate(onsale_queue_visitor_events_total{event=\"released\"}[2m])) > 0)", "at this pace")],
          unit="s", kind="stat", width=8, height=5, runbook="outflow-below-target"),
    panel("How many wait, and how many are at the desk?", "Waiting falls; the desk stays level.",
          [("sum by (state) (onsale_queue_visitors)", "{{state}}")], width=12, runbook="queue-stalled"),
    panel("Are visitors let in as fast as is aimed at?", "Let in lies on the target, and the target under the capacity.",
          [("sum(rate(onsale_queue_visitor_events_total{event=\"released\"}[$__rate_interval]))", "let in"),
           ("sum(onsale_queue_outflow_target_per_second)", "target"),
           ("sum(onsale_queue_capacity_per_second)", "capacity")],
          unit="ops", width=12, runbook="outflow-below-target"),
    panel("How fast do visitors come?", "A peak before the opening, then less each minute.",
          [("sum(rate(onsale_queue_visitor_events_total{event=\"joined\"}[$__rate_interval]))", "come"),
           ("sum(rate(onsale_queue_visitor_events_total{event=\"left\"}[$__rate_interval]))", "leave"),
           ("sum(rate(onsale_queue_visitor_events_total{event=\"removed\"}[$__rate_interval]))", "taken out")],
          unit="ops"),
    panel("How many of those let in take tickets?", "Most of them; the law counts on what it measures.",
          [(share("served", "released"), "took tickets"), (share("no_show", "released"), "did not come")],
          unit="percentunit"),
    panel("How many leave before it is their turn?", "Under a tenth.",
          [(share("left", "left|released"), "left of those who left or were let in")], unit="percentunit",
          steps=above(yellow=0.1)),
    panel("How busy are the doors of the room?", "Joins in the lobby, claims after the opening; reads all the time.",
          [("sum by (method) (rate(onsale_rpc_requests_total{method=~\"join|join_many|status|status_many|claim|leave|proof\"}[$__rate_interval]))", "{{method}}")],
          unit="reqps", width=12),
    panel("How long do the doors of the room take?", "Under 100 ms.",
          [("histogram_quantile(0.99, sum by (le, method) (rate(onsale_rpc_seconds_bucket{method=~\"join|join_many|status|status_many|claim\"}[$__rate_interval])))", "{{method}}, 99 of 100")],
          unit="s", steps=above(yellow=0.1, red=0.25), width=12, runbook="slow-answers-burn"),
])
