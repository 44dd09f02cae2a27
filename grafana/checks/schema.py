"""Boards fit Grafana's schema: read by its own types and written again, they are what they were. Needs
`grafana-foundation-sdk`, which is generated from that schema."""

import json

from . import expressions

# Of annotations the schema has only what all data sources share; these are Prometheus' own.
OF_PROMETHEUS = {"step", "titleFormat", "textFormat"}


def is_here():
    try:
        import grafana_foundation_sdk  # noqa: F401
    except ImportError:
        return False
    return True


def faults():
    from grafana_foundation_sdk.cog import plugins
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models.dashboard import Dashboard

    plugins.register_default_plugins()
    found = []
    for file, board in expressions.boards():
        try:
            read = json.loads(JSONEncoder().encode(Dashboard.from_json(board)))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            found.append(f"{file}: does not fit Grafana's schema: {error!r}")
            continue
        found += [f"{file}: Grafana's schema has no {path}" for path in lost(board, read)]
    return found


def lost(ours, theirs, path=""):
    """Where what was read again differs."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            here = f"{path}.{key}"
            if path == ".annotations.list" and key in OF_PROMETHEUS:
                continue
            if key not in theirs:
                yield here
            else:
                yield from lost(value, theirs[key], here)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for one, other in zip(ours, theirs):
            yield from lost(one, other, path)
    elif ours != theirs:
        yield f"{path} = {ours!r}"
