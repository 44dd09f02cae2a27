"""What may be missing or empty, and why."""

# Metrics on no board.
ON_NO_BOARD = {
    "onsale_trace_calls_total": "of the tracing itself: looked at where a trace is missing",
    "onsale_trace_calls_over_limit_total": "as onsale_trace_calls_total",
    "onsale_trace_spans_total": "as onsale_trace_calls_total",
}

# Expressions that may have no data in a short, healthy sale, by a part of them.
MAY_BE_EMPTY = [
    ("ALERTS{", "nothing burns"),
    ("onsale_raft_snapshot_write_seconds", "a group writes a snapshot after much log, and a short sale has little"),
    ("onsale_raft_snapshot_install_seconds", "as onsale_raft_snapshot_write_seconds"),
]

# Series that a node does not have yet when it has just started: they come with the first call.
COME_WITH_USE = {
    "onsale_rpc_requests_total": "a method and code is told once it was counted",
    "onsale_http_calls_total": "a route is told once it was called",
    "onsale_http_call_seconds": "a route is told once it was called",
}
