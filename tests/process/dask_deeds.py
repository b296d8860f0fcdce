# SPDX-License-Identifier: Apache-2.0
"""What befalls a Dask cluster while it trains: each deed is done to real processes.

for deed in DEEDS:
    deed(cluster, run)
"""

import os
import signal
import time
from collections.abc import Callable

from tests.process.dask_cluster import Cluster, DaskRun

SHORT_STOP_SECONDS, STOP_SECONDS = 4.0, 10.0


def kill_a_worker(cluster: Cluster, run: DaskRun) -> None:
    os.kill(run.processes()[run.another()], signal.SIGKILL)


def kill_the_coordinator(cluster: Cluster, run: DaskRun) -> None:
    os.kill(run.processes()[run.coordinator()], signal.SIGKILL)


def retire_a_worker(cluster: Cluster, run: DaskRun) -> None:
    cluster.client.retire_workers([run.another()])


def retire_the_coordinator(cluster: Cluster, run: DaskRun) -> None:
    cluster.client.retire_workers([run.coordinator()])


def restart_two_workers(cluster: Cluster, run: DaskRun) -> None:
    cluster.client.restart_workers(list(run.processes())[:2])


def restart_all(cluster: Cluster, run: DaskRun) -> None:
    cluster.client.restart()


def scale_down_and_up(cluster: Cluster, run: DaskRun) -> None:
    cluster.cluster.scale(1)
    run.wait_until(lambda view: len(view["workers"]) == 1)
    cluster.cluster.scale(4)
    run.wait_until(lambda view: len(view["workers"]) == 4)


def adapt(cluster: Cluster, run: DaskRun) -> None:
    adaptive = cluster.cluster.adapt(minimum=2, maximum=2, interval="200ms", wait_count=1)
    run.wait_until(lambda view: len(view["workers"]) == 2)
    adaptive.stop()
    cluster.cluster.scale(3)
    run.wait_until(lambda view: len(view["workers"]) == 3)


def stop_for_a_while(process: int, seconds: float) -> None:
    os.kill(process, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(process, signal.SIGCONT)


def stop_a_worker(cluster: Cluster, run: DaskRun) -> None:
    stop_for_a_while(run.processes()[run.another()], SHORT_STOP_SECONDS)


def stop_the_coordinator(cluster: Cluster, run: DaskRun) -> None:
    stop_for_a_while(run.processes()[run.coordinator()], STOP_SECONDS)


DEEDS: list[Callable[[Cluster, DaskRun], None]] = [
    kill_a_worker,
    kill_the_coordinator,
    retire_a_worker,
    retire_the_coordinator,
    restart_two_workers,
    restart_all,
    scale_down_and_up,
    adapt,
    stop_a_worker,
    stop_the_coordinator,
]
