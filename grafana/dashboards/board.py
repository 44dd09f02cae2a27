"""Grafana's dashboard schema, as little of it as these boards need."""

DATASOURCE = {"type": "prometheus", "uid": "onsale-prometheus"}
WIDTH = 24

# Steps of a threshold: green up to the first value, then the colours given.
NONE = []
# A single value that is not there is no good news: a node that is gone tells nothing.
NO_DATA = {"type": "special",
           "options": {"match": "null+nan", "result": {"index": 0, "text": "no data", "color": "red"}}}


def above(yellow=None, red=None):
    """Good below, bad above."""
    steps = [{"color": "green", "value": None}]
    steps += [{"color": "yellow", "value": yellow}] if yellow is not None else []
    steps += [{"color": "red", "value": red}] if red is not None else []
    return steps


def below(yellow=None, red=None):
    """Good above, bad below."""
    steps = [{"color": "red" if red is not None else "yellow", "value": None}]
    steps += [{"color": "yellow", "value": red}] if None not in (red, yellow) else []
    steps += [{"color": "green", "value": yellow if yellow is not None else red}]
    return steps


class Why(str):
    """Instead of thresholds or of a page: the reason why there is none, told in the panel's description."""


# Of most panels without thresholds.
FOLLOWS = Why("it goes up and down with the sale")
# Of most panels without a page.
NO_ALARM = Why("no alarm hangs on it")


def panel(title, good, targets, unit="short", steps=NONE, runbook=None, kind="timeseries",
          width=8, height=7, stacked=False, low=0):
    """`targets`: pairs of an expression and a legend. `good`: what good looks like. `steps` and `runbook` may
    each be the reason why there is none: `grafana/check` wants one or the other."""
    if not title.endswith("?"):
        raise ValueError(f"{title}: a title asks a question")
    told = [f"Good: {good}"]
    if isinstance(steps, Why):
        told.append(f"No limit: {steps}.")
        steps = NONE
    if isinstance(runbook, Why):
        told.append(f"No page: {runbook}.")
        runbook = None
    defaults = {
        "unit": unit,
        "min": low,
        "thresholds": {
            "mode": "absolute",
            "steps": steps or [{"color": "green", "value": None}],
        },
        "color": {"mode": "palette-classic" if kind == "timeseries" else "thresholds"},
    }
    options = {}
    if kind == "timeseries":
        defaults["custom"] = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 25 if stacked else 5,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if steps else "off"},
        }
        options = {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    if kind == "stat":
        defaults["mappings"] = [NO_DATA]
        defaults["noValue"] = "no data"
        options = {
            "colorMode": "background",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "value_and_name",
        }
    links = []
    if runbook:
        links = [{
            "title": f"Runbook: {runbook}",
            "url": "${runbooks}/" + runbook + ".md",
            "targetBlank": True,
        }]
    return {
        "type": kind,
        "title": title,
        "description": " ".join(told),
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "links": links,
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": DATASOURCE,
                "expr": expr,
                "legendFormat": legend,
                # A single value is the one of now: the last of half an hour would hide that there is none.
                "instant": kind == "stat",
                "range": kind != "stat",
            }
            for number, (expr, legend) in enumerate(targets)
        ],
        "gridPos": {"w": width, "h": height},
    }


def slowest(labels):
    """What 99 of 100 calls of each method take, of methods that are called. Whether one is called is asked of
    the count: without its empty buckets a quantile is another, and where all are too slow for any it is none."""
    of = f"onsale_rpc_seconds_%s{{{labels}}}[$__rate_interval]"
    return (f"histogram_quantile(0.99, sum by (le, method) (rate({of % 'bucket'})))"
            f" and on (method) sum by (method) (rate({of % 'count'})) > 0")


def text(words, width=WIDTH, height=4):
    """Words for whoever looks at the board, in Markdown."""
    return {"type": "text", "title": "", "options": {"mode": "markdown", "content": words},
            "gridPos": {"w": width, "h": height}}


def row(title):
    return {"type": "row", "title": title, "collapsed": False, "panels": [],
            "gridPos": {"w": WIDTH, "h": 1}}


def place(panels):
    """From left to right, then down."""
    x = y = tallest = 0
    for number, entry in enumerate(panels, 1):
        size = entry["gridPos"]
        if x + size["w"] > WIDTH:
            x, y, tallest = 0, y + tallest, 0
        entry["id"] = number
        entry["gridPos"] = {"h": size["h"], "w": size["w"], "x": x, "y": y}
        x, tallest = x + size["w"], max(tallest, size["h"])
    return panels


def annotation(name, expr, colour, text):
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "expr": expr,
        "iconColor": colour,
        "step": "15s",
        "titleFormat": name,
        "textFormat": text,
    }


ANNOTATIONS = [
    annotation("Leader changes", "increase(onsale_raft_elections_won_total[1m]) > 0", "orange",
               "{{instance}} leads group {{group}}"),
    # However long it was away: what was told before its start says nothing of it.
    annotation("Node starts", "(time() - process_start_time_seconds{job=\"onsale\"}) < 60", "blue",
               "{{instance}} was started anew"),
    # One that this node has not run in the last quarter of an hour: a restart of the same is no deploy.
    annotation("Another version runs",
               "onsale_build_info unless on (instance, version) max_over_time(onsale_build_info[15m] offset 1m)",
               "purple", "{{instance}} runs {{version}}"),
    # Counted by the leader that saw the sale before and after, so that a failover opens nothing.
    annotation("Sales open and close", "increase(onsale_sale_phase_changes_total[1m]) > 0",
               "green", "{{phase}} on {{instance}}"),
]


def query_variable(name, label, query):
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


# A board has those that its expressions name. An event's class is its size: `observe::Size` has the limits.
VARIABLES = [
    query_variable("node", "Node", "label_values(onsale_node_ready, instance)"),
    query_variable("size", "Event class", "label_values(onsale_sale_led, size)"),
    query_variable("channel", "Channel", "label_values(onsale_sale_channel_seats, channel)"),
]
# Prometheus serves the pages under /user (`prometheus.yaml`), and Grafana passes on what its data source serves.
PAGES = f"/api/datasources/proxy/uid/{DATASOURCE['uid']}/user"
RUNBOOKS = {
    "name": "runbooks",
    "label": "Runbooks",
    "type": "textbox",
    "query": PAGES,
    "current": {"text": PAGES, "value": PAGES},
}


def variables(panels):
    named = " ".join(target["expr"] for entry in panels for target in entry.get("targets", []))
    return [of for of in VARIABLES if f'"${of["name"]}"' in named] + [RUNBOOKS]


def board(uid, title, description, panels):
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["onsale"],
        "schemaVersion": 38,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "5s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": ANNOTATIONS},
        "links": [{
            "title": "Onsale",
            "type": "dashboards",
            "tags": ["onsale"],
            "asDropdown": False,
            "includeVars": True,
            "keepTime": True,
        }],
        "templating": {"list": variables(panels)},
        "panels": place(panels),
    }
