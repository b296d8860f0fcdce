# SPDX-License-Identifier: Apache-2.0
"""RunFigures: what a coordinator's status says, in a few numbers that an engine can carry about.

figures = RunFigures()
figures.take(coordinator.status_json())  # {"rows": 1000000, "rows_moved": 62500, ...}
"""

import json
import threading
from typing import Any

TAKEN = ("rows", "trees", "trees_max", "trees_per_minute", "work_seconds", "work_lost_seconds")
HOLDERS_MAX = 200


class RunFigures:
    """Rows have moved when another worker counts them than before, from look to look. May be used
    from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted_by: dict[int, str] = {}  # by shard
        self._rows_moved = 0

    def take(self, status_json: str) -> dict[str, Any]:
        """Returns nothing before the run is prepared."""
        if not status_json:
            return {}
        status = json.loads(status_json)
        with self._lock:
            for shard in status["shards"]:
                if shard["state"] != "counted":
                    continue
                before = self._counted_by.get(shard["id"])
                if before not in (None, shard["worker"]):
                    self._rows_moved += shard["rows"]
                self._counted_by[shard["id"]] = shard["worker"]
            figures = {name: status[name] for name in TAKEN}
        # Who counts which number of rows.
        holders = [
            [worker["name"], worker["rows_active"]]
            for worker in status["workers"][:HOLDERS_MAX]
            if worker["rows_active"] > 0
        ]
        return {**figures, "rows_moved": self._rows_moved, "holders": holders}
