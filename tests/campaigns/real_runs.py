# SPDX-License-Identifier: Apache-2.0
"""Real runs with real faults: each process on a host of its own, and one digest in the end.

A seed draws the network (delay and loss), the log (disk or S3), the workers and what befalls them:
SIGKILL, SIGSTOP, SIGTERM, joins, partitions in one direction and in both, and the coordinator
killed and started again. The same model trained by one process gives the digest to be met; a run
that does not end in 90 seconds is hung. A seed fixes the deeds, not the instants of the kernel.

    script/campaign real_runs                     200 runs, two at a time
    script/campaign real_runs --seeds 7-7         one of them again; writes no page
"""

import argparse
import concurrent.futures
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.campaigns.real_runs_network import Host, Network, reason_not_possible
from tests.campaigns.report import deeds_counted, failures, seconds_of_runs, table, write_page
from tests.process.command import environment, evergrove, executable
from tests.process.object_store import ACCESS_KEY, SECRET_KEY, program
from tests.process.rows import LABEL, small_rows, write

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "campaign-real_runs"
SECONDS_MAX = 90.0
SETTINGS = ("--set", "n_estimators=50", "max_leaves=31", "min_rows=5", "subsample=0.8")
DEEDS = ["kill", "stop", "leave", "join", "join", "partition", "one way", "coordinator"]
STORAGE = 3


class RealRun:
    """One run from its seed."""

    def __init__(self, seed: int, rows: Path, secrets: Path, folder: Path, network: Network):
        self.dice = random.Random(seed)
        self.network = network
        self.rows, self.secrets, self.folder = rows, secrets, folder
        self.deeds: list[str] = []
        self.story: list[str] = []
        self.begin = time.monotonic()
        self.workers: list[tuple[Host, subprocess.Popen[bytes]]] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        self.pending: list[tuple[float, Host, subprocess.Popen[bytes] | None]] = []
        self.leaving: set[int] = set()  # processes that were asked to
        self.coordinator_host = network.add_host()
        self.log, self.environment = str(folder / "log"), environment()
        if program("versitygw") is not None and self.dice.random() < 0.5:
            self.start_storage()
        self.coordinator = self.start_coordinator()

    def tell(self, words: str) -> None:
        self.story.append(f"{time.monotonic() - self.begin:6.2f} {words}")

    def start(
        self, host: Host, name: str, *command: object, secrets: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.err").open("ab") as errors:
            process = subprocess.Popen(
                [*host.command_prefix, *map(str, command)],
                env={**self.environment, **(secrets or {})},
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )
        self.processes.append(process)
        return process

    def start_storage(self) -> None:
        host = self.network.add_host()
        (self.folder / "objects" / "bucket").mkdir(parents=True)
        secrets = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
        arguments = ["--port", f"{host.address}:7080", "posix", self.folder / "objects"]
        self.start(host, "storage", program("versitygw"), *arguments, secrets=secrets)
        self.log = "s3://bucket/run"
        self.environment |= {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_ENDPOINT_URL": f"http://{host.address}:7080",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_REGION": "us-east-1",
        }
        time.sleep(1)

    def start_coordinator(self) -> subprocess.Popen[bytes]:
        self.tell("a coordinator starts")
        return self.start(
            *(self.coordinator_host, "coordinator", executable(), "coordinator"),
            *("--data", self.rows, "--label", LABEL, "--valid-fraction", "0.2", *SETTINGS),
            *("--log", self.log, "--resume", "--model", self.folder / "model", "--json"),
            *("--listen", f"{self.coordinator_host.address}:7070"),
            *("--token-file", self.secrets / "token", "--tls-cert", self.secrets / "cert.pem"),
            *("--tls-key", self.secrets / "key.pem"),
        )

    def start_worker(self) -> None:
        host = self.network.add_host()
        self.tell(f"a worker starts at {host.address}")
        process = self.start(
            *(host, f"worker-{host.address}", executable(), "worker", "--threads", 1),
            *("--coordinator", f"{self.coordinator_host.address}:7070"),
            *("--listen", f"{host.address}:7071", "--token-file", self.secrets / "token"),
            *("--tls-ca", self.secrets / "ca.pem", "--tls-cert", self.secrets / "cert.pem"),
            *("--tls-key", self.secrets / "key.pem"),
        )
        self.workers.append((host, process))

    def living(self) -> list[tuple[Host, subprocess.Popen[bytes]]]:
        return [(host, process) for host, process in self.workers if process.poll() is None]

    def deed(self) -> None:
        kind = self.dice.choice(DEEDS)
        living = self.living()
        if kind == "join" and len(living) >= 6:
            kind = "kill"
        if kind != "coordinator" and not living:
            kind = "join"
        seconds = self.dice.uniform(0.3, 4)
        host, process = self.dice.choice(living) if living else (self.coordinator_host, None)
        self.deeds.append(kind)
        self.tell(f"{kind} {host.address} {seconds:.1f} s")
        if kind == "coordinator":
            self.coordinator.kill()
            self.coordinator.wait()
            self.coordinator = self.start_coordinator()
        elif kind == "join" or process is None:
            self.start_worker()
        elif kind == "kill":
            process.kill()
        elif kind == "leave":
            process.send_signal(signal.SIGTERM)
            self.leaving.add(process.pid)
        elif kind == "stop":
            process.send_signal(signal.SIGSTOP)
            self.pending.append((time.monotonic() + seconds, host, process))
        else:
            if self.dice.random() < 0.2:
                host = self.coordinator_host
            into = kind == "partition" or self.dice.random() < 0.5
            self.network.cut(host, into=into, out=kind == "partition" or not into)
            self.pending.append((time.monotonic() + seconds, host, None))

    def heal(self, now: float) -> None:
        for due, host, process in self.pending:
            if due <= now and process is not None and process.poll() is None:
                process.send_signal(signal.SIGCONT)
            elif due <= now:
                self.network.heal(host)
        self.pending = [one for one in self.pending if one[0] > now]

    def run(self) -> str:
        """The digest of the model, or what went wrong."""
        for _ in range(self.dice.randint(2, 6)):
            self.start_worker()
        deeds_max, next_deed = self.dice.randint(3, 12), time.monotonic() + 1
        while time.monotonic() < self.begin + SECONDS_MAX:
            now = time.monotonic()
            self.heal(now)
            code = self.coordinator.poll()
            if code == 0:
                return evergrove("digest", self.folder / "model").out.split()[0]
            if code == STORAGE:  # its store was out of reach: whoever watches it starts it again
                self.tell("the coordinator ended: storage")
                self.coordinator = self.start_coordinator()
                self.deeds.append("coordinator lost its storage")
            elif code is not None:
                return f"the coordinator ended with {code}"
            # One that is asked to leave waits for another to take its shards.
            if all(process.pid in self.leaving for _, process in self.living()):
                self.start_worker()
            if now >= next_deed and len(self.deeds) < deeds_max:
                self.deed()
                next_deed = now + self.dice.uniform(0.1, 1.2)
            time.sleep(0.02)
        return "hung"

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        (self.folder / "story").write_text("\n".join(self.story) + "\n")


def one_run(seed: int, rows: Path, secrets: Path) -> dict[str, object]:
    folder = rows.parent / f"seed-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    dice = random.Random(seed + 1_000_003)
    begin = time.monotonic()
    delay, loss = dice.uniform(0.001, 0.005), dice.choice([0, 0.001, 0.01])
    with Network(f"{os.getpid() % 100_000}x", seed, delay, loss) as network:
        run = RealRun(seed, rows, secrets, folder, network)
        try:
            result = run.run()
        finally:
            run.end()
        return {
            "seed": seed,
            "result": result,
            "deeds": run.deeds,
            "s3": run.log.startswith("s3:"),
            "seconds": time.monotonic() - begin,
            "packets": network.carried,
            "dropped": network.dropped,
        }


def prepare(folder: Path) -> tuple[Path, Path, str]:
    """The rows, the secrets, and the digest of one process."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rows = write(small_rows(30_000), folder / "rows.parquet", 1000)
    secrets = folder / "secrets"
    made = evergrove("credentials", "--out", secrets)
    options = ("--data", rows, "--label", LABEL, "--valid-fraction", "0.2", *SETTINGS)
    trained = evergrove("train", *options, "--model", folder / "model", "--json")
    if made.code or trained.code:
        raise RuntimeError(made.err + trained.err)
    return rows, secrets, trained.json["digest"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/campaign real_runs")
    parser.add_argument("--seeds", default="", help="A-B: these; writes no page (1-200)")
    parser.add_argument("--at-once", type=int, default=2, help="runs at a time (2)")
    parser.add_argument("--minutes", type=float, default=1e9, help="start none after so long")
    arguments = parser.parse_args()
    if reason := reason_not_possible():
        print(f"real_runs: {reason}", file=sys.stderr)
        return 2
    first, _, last = (arguments.seeds or "1-200").partition("-")
    rows, secrets, digest = prepare(FOLDER / (arguments.seeds or "all"))
    begin = time.monotonic()

    def run_unless_late(seed: int) -> dict[str, object] | None:
        if time.monotonic() - begin > arguments.minutes * 60:
            return None
        command = [sys.executable, "-m", "tests.campaigns.real_runs_one", seed, rows, secrets]
        out = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, check=True).stdout
        answer: dict[str, object] = json.loads(out)
        is_equal = answer["result"] == digest
        words = "equal" if is_equal else f"FAILED: {answer['result']}"
        print(f"seed {seed}: {words}, {answer['seconds']:.1f} s", file=sys.stderr, flush=True)
        return answer

    with concurrent.futures.ThreadPoolExecutor(arguments.at_once) as pool:
        seeds = range(int(first), int(last or first) + 1)
        answers = [answer for answer in pool.map(run_unless_late, seeds) if answer]
    page = page_of(answers, digest, time.monotonic() - begin)
    failed = sum(answer["result"] != digest for answer in answers)
    if arguments.seeds:
        print(page)
    else:
        command = " ".join(["script/campaign real_runs", *sys.argv[1:]])
        write_page("real_runs", "Real runs, each process on a host of its own", command, page)
    print(f"{len(answers) - failed} passed, {failed} failed")
    return 1 if failed else 0


def page_of(answers: list[dict[str, object]], digest: str, seconds: float) -> str:
    failed = [answer for answer in answers if answer["result"] != digest]
    hung = [answer for answer in failed if answer["result"] == "hung"]
    packets = sum(int(str(answer["packets"])) for answer in answers)
    dropped = sum(int(str(answer["dropped"])) for answer in answers)
    figures = [
        ["runs", str(len(answers))],
        ["equal to one process", str(len(answers) - len(failed))],
        ["hung (90 s)", str(len(hung))],
        ["with the log on S3 (versitygw)", str(sum(bool(answer["s3"]) for answer in answers))],
        ["deeds", deeds_counted(answers)],
        ["packets carried, dropped", f"{packets:,}, {dropped:,}"],
        ["seconds of a run", seconds_of_runs(answers)],
        ["minutes in all", f"{seconds / 60:.1f}"],
    ]
    text = (
        f"{__doc__}".split("\n\n")[1].replace("\n", " ")
        + f"\n\nThe digest of one process: `{digest}`; 30,000 rows in 30 shards, 50 trees. Delay of"
        " 1 to 5 ms each way, loss of 0, 0.1 or 1 % of the packets; TLS and a token everywhere."
        " The hosts are network namespaces joined by TUN devices, and a switch in user space delays"
        " and drops the packets: this kernel has no `tc netem`.\n\n" + table(["what", "n"], figures)
    )
    return text + failures("real_runs", failed)


if __name__ == "__main__":
    sys.exit(main())
