"""Orders: what was paid for, what was given back, through whom. Of money the engine knows nothing yet."""

from board import FOLLOWS, NO_ALARM, Why, above, below, board, panel, slowest, text

HERE = 'instance=~"$node"'
SIZE = 'size=~"$size",' + HERE


def rate(name):
    return "sum(rate(onsale_sale_%s_total{%s}[$__rate_interval]))" % (name, SIZE)


# Why a confirmation is refused; the other reasons are those of holds.
LATE = "hold_expired|hold_released|hold_confirmed|unknown_hold|hold_of_another_partner"
OF_ORDERS = "order_cancelled|unknown_order|order_of_another_partner"

BOARD = board("onsale-orders", "Orders and money", "Orders: what was paid for, what was given back, through whom.", [
    text("**What is not here.** An order is made when a partner confirms a hold with the reference of its payment. "
         "The money itself is the partner's: the engine has no amounts, no refunds, no tickets and no ledger yet, so "
         "nothing here tells of callbacks, refunds, reconciliation or tickets that were paid and not issued. "
         "These come with payments.", height=3),
    panel("How many orders are there?", "Paid grows while it sells; cancelled stays far below.",
          [("sum by (state) (onsale_sale_orders{%s})" % SIZE, "{{state}}")], steps=FOLLOWS, runbook="nothing-sold"),
    panel("How fast are orders made?", "Follows the holds within a minute or two; not 0 while seats are free.",
          [(rate("orders_placed"), "made"), (rate("holds_placed"), "holds")],
          unit="ops", runbook="sell-errors-burn", steps=FOLLOWS),
    panel("How many seats will be sold in the end?", "As many as there are, in a band that grows narrow.",
          [("sum by (bound) (onsale_forecast_sold_by_close_seats{%s})" % SIZE, "{{bound}}"),
           ("sum(onsale_sale_seats{%s,state=\"sold\"})" % SIZE, "sold by now"),
           ("sum(onsale_sale_seats{%s})" % SIZE, "all seats")],
          steps=Why("each house has its size"), runbook=NO_ALARM),
    panel("How many are cancelled?", "Far below what is made; a step is somebody's decision.",
          [(rate("orders_cancelled"), "cancelled")], unit="ops",
          steps=Why("a step is somebody's decision"), runbook=NO_ALARM),
    panel("How many of the holds that end are paid?", "Most; falls when people cannot pay.",
          [("%s / (%s + %s + %s)" % (rate("orders_placed"), rate("orders_placed"), rate("holds_expired"),
                                     rate("holds_released")), "paid")],
          unit="percentunit", steps=below(yellow=0.5), runbook="nothing-sold"),
    panel("How many seats has an order?", "Between 1 and the limit of a buyer; level.",
          [("%s / %s" % (rate("seats_sold"), rate("orders_placed")), "seats an order")],
          steps=Why("the limit of a buyer is the event's"), runbook=NO_ALARM),
    panel("Do people who come together sit together?", "Few holds are split, and few single seats are left over before the end.",
          [("sum(rate(onsale_sale_holds_split_total{%s}[$__rate_interval]))" % SIZE, "holds split a second"),
           ("sum(onsale_sale_orphan_seats{%s})" % SIZE, "single free seats")], steps=FOLLOWS, runbook=NO_ALARM),
    panel("Which events' orders are these?", "As was planned for the night.",
          [("sum by (size) (onsale_sale_orders{%s,state=\"paid\"})" % SIZE, "{{size}}")], stacked=True,
          steps=FOLLOWS, runbook=NO_ALARM),
    panel("Which channels have the seats?", "Each as its quota and its crowd let expect.",
          [("sum by (channel) (onsale_sale_channel_seats{%s,channel=~\"$channel\"})" % HERE, "channel {{channel}}")],
          stacked=True, steps=Why("each channel has its quota"), runbook="nothing-sold"),
    panel("Why is a confirmation refused?", "Few, and expired ones: the buyer was too late. Others are a partner's bug.",
          [("sum by (reason) (rate(onsale_sale_refusals_total{%s,reason=~\"%s|%s\"}[$__rate_interval]))"
            % (SIZE, LATE, OF_ORDERS), "{{reason}}")], unit="ops", steps=FOLLOWS, runbook="nothing-sold"),
    panel("How long does a confirmation take?", "99 of 100 under 250 ms; those in sessions are on the board Partners.",
          [(slowest("method=~\"confirm_hold|cancel_order\"," + HERE), "{{method}}")],
          unit="s", steps=above(yellow=0.1, red=0.25), runbook="slow-answers-burn"),
    panel("Can orders be searched?", "All are in the index: 0, or falling to it.",
          [("onsale_index_lag_changes{%s}" % HERE, "{{instance}} changes behind"),
           ("onsale_index_sales_missing{%s}" % HERE, "{{instance}} sales missing")],
          steps=above(red=100000), runbook="index-lag", width=12),
    panel("Is any seat in two orders?", "0, always.",
          [("max(onsale_sale_oversold_seats)", "seats too many")],
          steps=above(red=1), runbook="seats-oversold", kind="stat", width=4),
])
