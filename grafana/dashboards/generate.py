#!/usr/bin/env python3
"""Writes the boards beside this file. `--check` writes nothing and says which are not what they would be.

A board is edited here, in `boards/`, and never in its JSON."""

import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from boards import cluster, night, node, orders, partners, room  # noqa: E402

HERE = Path(__file__).parent
BOARDS = [night.BOARD, room.BOARD, orders.BOARD, cluster.BOARD, node.BOARD, partners.BOARD]


def main():
    stale = []
    for board in BOARDS:
        file = HERE / (board["uid"] + ".json")
        text = json.dumps(board, indent=1, ensure_ascii=False) + "\n"
        if "--check" not in sys.argv[1:]:
            file.write_text(text)
        elif not file.is_file() or file.read_text() != text:
            stale.append(file.name)
    if stale:
        sys.exit("not what grafana/dashboards/generate.py writes: " + ", ".join(stale))


if __name__ == "__main__":
    main()
