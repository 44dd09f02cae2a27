"""One screen for the night: is it safe, is it selling, is it fair."""

from board import FOLLOWS, NO_ALARM, Why, above, below, board, panel, row

SIZE = 'size=~"$size",instance=~"$node"'
CALLS = 'entry=~"unary|session",instance=~"$node"'
FORESEEN = "sum(onsale_forecast_sold_seats{%s,ahead=\"1m\",bound=\"%%s\"} offset 1m)" % SIZE


def rate(name, labels=SIZE):
    return "sum(rate(%s{%s}[$__rate_interval]))" % (name, labels)


def tile(title, good, targets, steps, runbook):
    return panel(title, good, targets, steps=steps, runbook=runbook, kind="stat", width=4, height=3)


def view(title, good, targets, **more):
    return panel(title, good, targets, width=6, height=6, **more)


def answers(of):
    return "histogram_quantile(%s, sum by (le) (rate(onsale_gateway_answer_seconds_bucket{%s}[$__rate_interval])))" % (of, CALLS)


BOARD = board("onsale-night", "On-sale night", "Is it safe, is it selling, is it fair.", [
    row("Is it safe?"),
    tile("Is any seat given out twice?", "0, always.",
         [("max(onsale_sale_oversold_seats)", "seats too many")], above(red=1), "seats-oversold"),
    tile("Do all replicas agree?", "0: none is stopped, none disputed.",
         [("sum(onsale_node_stopped_groups) + sum(onsale_node_disputed_groups)", "replicas that differ")],
         above(red=1), "replicas-differ"),
    tile("Is any sale frozen?", "0.", [("max(onsale_sale_frozen)", "frozen")], above(red=1), "sale-frozen"),
    tile("Has every group a leader?", "1: the group that has least has one.",
         [("min(sum by (group) (onsale_raft_leader))", "leaders of the worst group")], below(red=1),
         "group-without-leader"),
    tile("Is any node missing?", "0 and 0.",
         [("count(up{job=\"onsale\"}) - sum(up{job=\"onsale\"})", "down"),
          ("count(up{job=\"onsale\"}) - (sum(onsale_node_ready) or 0 * count(up{job=\"onsale\"}))", "not ready")],
         above(red=1), "node-down"),
    tile("What burns?", "nothing. No data means that no alarm is looked at: not even Watchdog burns.",
         [("count by (alertname) (ALERTS{alertstate=\"firing\",alertname!=\"Watchdog\"})"
           " or on () label_replace(0 * count(ALERTS{alertname=\"Watchdog\",alertstate=\"firing\"}),"
           " \"alertname\", \"nothing\", \"\", \"\")", "{{alertname}}")],
         above(red=1), "README"),
    row("Is it selling?"),
    view("How fast are seats sold and held?",
         "Sold follows held within a minute or two; neither falls to 0 while seats are free.",
         [(rate("onsale_sale_seats_sold_total"), "sold"), (rate("onsale_sale_seats_held_total"), "held")],
         unit="ops", steps=FOLLOWS, runbook="nothing-sold"),
    view("How full is the house?", "Sold grows, held stays a narrow band, free shrinks.",
         [("sum by (state) (onsale_sale_seats{%s})" % SIZE, "{{state}}")], stacked=True,
         steps=Why("each house has its size"), runbook="nothing-sold"),
    view("Does it sell as was foreseen?",
         "Sold runs inside the band that was foreseen a minute before; outside means that something has changed.",
         [("sum(onsale_sale_seats{%s,state=\"sold\"})" % SIZE, "sold"),
          (FORESEEN % "likely", "foreseen a minute ago"),
          (FORESEEN % "low", "one in ten is lower"),
          (FORESEEN % "high", "one in ten is higher"),
          ("sum(onsale_forecast_sold_seats{%s,ahead=\"10m\",bound=\"likely\"})" % SIZE, "in ten minutes"),
          ("sum(onsale_forecast_sold_by_close_seats{%s,bound=\"likely\"})" % SIZE, "when it closes")],
         steps=Why("the band is the limit"), runbook="nothing-sold"),
    view("When will the last sale have sold out?", "Falls by a second a second.",
         [("max by (bound) (onsale_forecast_sell_out_seconds{%s} >= 0)" % SIZE, "{{bound}}")], unit="s",
         steps=Why("how long it takes is the event's"), runbook=NO_ALARM),
    view("How many pay of those who hold?", "Paid is far above expired.",
         [(rate("onsale_sale_holds_placed_total"), "hold"),
          (rate("onsale_sale_orders_placed_total"), "paid"),
          (rate("onsale_sale_holds_expired_total"), "expired"),
          (rate("onsale_sale_holds_released_total"), "given back"),
          (rate("onsale_sale_orders_cancelled_total"), "cancelled")],
         unit="ops", steps=FOLLOWS, runbook="nothing-sold"),
    view("Why are buyers told no?",
         "Taken and not enough side by side in the rush, sold out at the end; bug never.",
         [("topk(8, sum by (reason) (rate(onsale_sale_refusals_total{%s}[$__rate_interval])) > 0)" % SIZE, "{{reason}}")],
         unit="ops", stacked=True, steps=FOLLOWS, runbook="nothing-sold"),
    view("How long do partners wait?", "99 of 100 answers within 250 ms.",
         [(answers(0.5), "half"), (answers(0.99), "99 of 100")],
         unit="s", steps=above(yellow=0.1, red=0.25), runbook="slow-answers-burn"),
    view("How fast are the objectives spent?", "Under 1; 14 is a page.",
         [("onsale:sell_errors:ratio_rate5m / 0.001", "{{command}} errors"),
          ("onsale:slow_answers:ratio_rate5m / 0.01", "{{command}} slow")],
         steps=above(yellow=1, red=14.4), runbook="sell-errors-burn"),
    row("Is it fair?"),
    view("How many wait?", "Falls steadily once the sale is open.",
         [("sum by (state) (onsale_queue_visitors{%s})" % SIZE, "{{state}}")], steps=FOLLOWS,
         runbook="queue-stalled"),
    view("Are visitors let in as fast as is aimed at?", "Let in lies on the target.",
         [(rate("onsale_queue_visitor_events_total", SIZE + ',event="released"'), "let in"),
          ("sum(onsale_queue_outflow_target_per_second{%s})" % SIZE, "target")],
         unit="ops", steps=Why("the target is the limit"), runbook="outflow-below-target"),
    view("What becomes of those who were let in?", "Most take tickets; few leave or do not come.",
         [("sum by (event) (rate(onsale_queue_visitor_events_total{%s,event=~\"served|no_show|left\"}[$__rate_interval]))" % SIZE, "{{event}}")],
         unit="ops", steps=FOLLOWS, runbook="nothing-sold"),
    view("Which channels have the seats?", "Each as its quota and its crowd let expect; none stands still while others grow.",
         [("sum by (channel) (onsale_sale_channel_seats{channel=~\"$channel\",instance=~\"$node\"})", "channel {{channel}}")],
         stacked=True, steps=Why("each channel has its quota"), runbook="nothing-sold"),
])
