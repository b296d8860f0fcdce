# SPDX-License-Identifier: Apache-2.0
"""A case.json made up: plausible figures of five contenders on a trace, for tests of the report.

values = made_up_case()
values["contenders"][0]["finished"] = False
"""

from typing import Any

DIGEST = "5be1" * 16
TRACE = [[0.0, 1], [9.0, 2], [15.0, 4], [33.0, 2], [39.0, 4], [57.0, 1], [66.0, 3], [93.0, 4]]


def made_up_case() -> dict[str, Any]:
    return {
        "version": 1,
        "made": "2026-11-26 09:40 UTC",
        "machine": "AMD EPYC 7B13, 2 cores, 8 GiB, Linux 6.1, Python 3.11.2",
        "commit": "43852a7",
        "seconds_total": 512.0,
        "command": "script/case",
        "data": {
            "source": "Fraud Detection Handbook, generated: seed 7",
            "rows": 3_500_000,
            "features": 15,
            "copies": 4,
            "train": "days 30 to 121",
            "test": "days 129 to 135, known cards left out",
            "test_rows": 58_000,
            "files": 32,
            "bytes": 123_456_789,
            "store": "versitygw",
        },
        "settings": {"n_estimators": 400, "max_leaves": 63, "learning_rate": 0.05, "workers": 4},
        "versions": {"evergrove": "0.1.0", "xgboost": "3.2.0", "dask": "2026.1.1"},
        "trace": {
            "file": "availability__16-node__aws-08-27-2023__us-east-2b_v100_1.json",
            "kind": "recorded",
            "step_seconds": 3.0,
            "real_step_seconds": 300,
            "speed_up": 100,
            "levels": TRACE,
        },
        "digests": {"one_machine": DIGEST, "static": DIGEST, "trace": DIGEST},
        "contenders": [
            made_up("evergrove_trace", "Evergrove on the trace", 52.1, share=0.012),
            made_up("evergrove_static", "Evergrove, nobody lost", 41.3, share=0.0),
            made_up("xgboost_static", "xgboost.dask, nobody lost", 48.7, share=0.0),
            made_up(
                "xgboost_trace",
                "xgboost.dask on the trace, begun again",
                150.0,
                share=1.0,
                finished=False,
                gave_up_after=150.0,
                attempts=6,
                error="XGBoostError: [09:31:02] rabit/internal/socket.h:170: Poll error "
                + "x" * 200,
                curve=falling(150.0, begin_again_at=0),
            ),
            made_up(
                "xgboost_trace_checkpoints",
                "xgboost.dask on the trace, with checkpoints",
                121.4,
                share=0.21,
                attempts=5,
                curve=falling(121.4, begin_again_at=160),
            ),
        ],
        "prices": {
            "instance": "m5.2xlarge",
            "vcpus": 8,
            "on_demand_per_hour": 0.384,
            "spot_per_hour": 0.1697,
            "source": "skypilot-catalog, us-east-1, median of 6 zones; a snapshot",
            "assumptions": [
                "Every worker process counts as one m5.2xlarge, from its start to its end.",
                "Billed by the second.",
                "A machine that is lost is paid until it is lost.",
            ],
        },
        "commands": ["script/case"],
    }


def made_up(name: str, title: str, seconds: float, share: float, **changes: Any) -> dict[str, Any]:
    is_ours = name.startswith("evergrove")
    finished = changes.get("finished", True)
    lives = lives_on_trace(seconds) if "trace" in name else lives_of_static(seconds)
    total = sum(life["end"] - life["start"] for life in lives)
    starting = sum((life["ready"] or life["end"]) - life["start"] for life in lives)
    working = total - starting
    scenarios = {
        "1": {"frauds": 41, "roc_auc": 1.0},
        "2": {"frauds": 1_133, "roc_auc": 0.8571},
        "3": {"frauds": 211, "roc_auc": 0.9432},
    }
    measured = {
        "roc_auc": 0.8812,
        "average_precision": 0.6841,
        "card_precision": 0.2914,
        "by_scenario": scenarios,
    }
    values = {
        "name": name,
        "title": title,
        "library": "Evergrove" if is_ours else "XGBoost",
        "cluster": "trace" if "trace" in name else "static",
        "finished": True,
        "gave_up_after": None,
        "error": "",
        "seconds": seconds,
        "trees": 400 if finished else 0,
        "attempts": 1,
        "rounds_trained": 400 + round(share * 400) if finished else 912,
        "rounds_lost": round(share * 400) if finished else 912,
        "work_lost_share": share,
        "joins": len(lives),
        "losses": sum(life["how"] == "killed" for life in lives),
        "machine_seconds": {
            "starting": starting,
            "working": working * (1 - share),
            "lost": working * share,
            "total": total,
        },
        "cost": {"on_demand": total / 3600 * 0.384, "spot": total / 3600 * 0.1697},
        "digest": DIGEST if is_ours else "",
        "quality": measured if finished else None,
        "workers": lives,
        "curve": rising(seconds),
    }
    return values | changes


def lives_of_static(seconds: float) -> list[dict[str, Any]]:
    return [
        {"name": f"w{i}", "start": 0.1, "ready": 2.4 + 0.1 * i, "end": seconds, "how": "ended"}
        for i in range(4)
    ]


def lives_on_trace(seconds: float) -> list[dict[str, Any]]:
    """Starts and kills workers as the trace has it, the oldest first."""
    lives: list[dict[str, Any]] = []
    living: list[dict[str, Any]] = []
    for when, level in TRACE:
        if when >= seconds:
            break
        while len(living) > level:
            life = living.pop(0)
            life["end"], life["how"] = when, "killed"
            if life["ready"] > when:
                life["ready"] = None
        while len(living) < level:
            life = {"name": f"w{len(lives)}", "start": when, "ready": when + 2.5}
            life |= {"end": seconds, "how": "ended"}
            lives.append(life)
            living.append(life)
    return lives


def rising(seconds: float, begin: float = 4.0) -> list[list[float]]:
    return [[begin + (seconds - begin) * i / 80, 5 * i] for i in range(81)]


def falling(seconds: float, begin_again_at: int) -> list[list[float]]:
    """Falls back at each loss of the trace."""
    curve: list[list[float]] = []
    trees, second = 0.0, 5.0
    losses = [33.0, 57.0, 104.0]
    while second < seconds:
        if losses and second >= losses[0]:
            losses.pop(0)
            second += 7
            trees = min(trees, begin_again_at)
        curve.append([second, round(trees)])
        second += 0.5
        trees = min(400, trees + 3.7)
    return curve
