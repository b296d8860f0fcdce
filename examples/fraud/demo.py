# SPDX-License-Identifier: Apache-2.0
"""The demo: finds card fraud, is killed half-way, goes on, and ends with the same model to the bit.

    .venv/bin/python -m examples.fraud.demo            # after script/build; script/demo does both
    .venv/bin/python -m examples.fraud.demo --data transactions.parquet --first-day 115

Everything goes to the folder `demo`: the data, both models, results.json and report.html. Exit 0
if the digests are equal, 1 if they differ, 2 for bad input.
"""

import argparse
import json
import os
import shlex
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from bench.compare import machine, outcome
from bench.compare.job import Job
from bench.compare.outcome import DEFAULT_EVERGROVE, ROOT, Outcome
from bench.compare.process import run_measured
from bench.compare.settings import Settings
from examples.fraud import features, interruption, report, split, transactions
from examples.fraud.console import clear_line, heading, say, table
from examples.fraud.story import Library, Story

PEERS = ("lightgbm", "xgboost", "catboost")
SETTINGS = Settings(trees=400, leaves=31, learning_rate=0.03, min_rows=20)
# They take 10 at most, but on a busy machine their threads have been seen a hundred times slower.
PEER_SECONDS_MAX = 90
BOOK_FIRST_DAY = 115  # of the book's published figures, 2018-07-25
SMALL = transactions.Options(
    customer_count=1_000,
    terminal_count=2_000,
    day_count=60,
    terminals_a_day=1,
    terminal_days=7,
    customers_a_day=1,
    customer_days=7,
)
SMALL_SETTINGS = Settings(trees=150, leaves=15, learning_rate=0.05, min_rows=20)


def main() -> int:
    arguments = parse()
    try:
        return run(arguments)
    except (ValueError, OSError, RuntimeError, pa.ArrowException, duckdb.Error) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ndemo: stopped", file=sys.stderr)
        return 4


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="demo", description="Finds card fraud and survives a kill; see script/demo --help."
    )
    parser.add_argument("--data", type=Path, help="Parquet file of transactions")
    parser.add_argument("--first-day", type=int, help="first of the 7 training days")
    parser.add_argument("--days", type=int, help="how many days to make")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trees", type=int)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--no-peers", action="store_true", help="only Evergrove")
    parser.add_argument("--small", action="store_true", help="few transactions and trees")
    parser.add_argument("--out", type=Path, default=ROOT / "demo", help="folder to write to")
    parser.add_argument("--evergrove", type=Path, default=DEFAULT_EVERGROVE, help="the command")
    return parser.parse_args()


def run(arguments: argparse.Namespace) -> int:
    if not arguments.evergrove.exists():
        raise ValueError(f"There is no command at {arguments.evergrove}; script/build makes it")
    start = time.perf_counter()
    out: Path = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    data = prepare(arguments, out)
    job = make_job(arguments, data, out)
    story = Story(
        data=data.words,
        settings=asdict(job.settings) | {"threads": job.threads, "seed": job.seed},
        machine=machine.describe(),
        tree_count=job.settings.trees,
    )
    ours = train_three_times(arguments.evergrove, job, out, story)
    story.libraries = [evaluate(arguments.evergrove, job, out, ours, data.test)]
    if not arguments.no_peers:
        story.libraries += compare(job, out, data.test)
    story.seconds = time.perf_counter() - start
    (out / "results.json").write_text(json.dumps(asdict(story), indent=1) + "\n")
    (out / "report.html").write_text(report.page(story))
    conclude(story, out)
    return 0 if story.same_model else 1


class Data(NamedTuple):
    train: Path
    test_file: Path
    test: pa.Table
    words: dict[str, str]  # what it is, a line each


def prepare(arguments: argparse.Namespace, out: Path) -> Data:
    """Makes or takes transactions, computes the features, splits by time, writes Parquet."""
    heading("Transactions")
    raw: Path | pa.Table = arguments.data
    if arguments.data is None:
        options = SMALL if arguments.small else transactions.Options()
        changed = {"seed": arguments.seed, "day_count": arguments.days or options.day_count}
        options = transactions.Options(**asdict(options) | changed)
        raw = timed("made", lambda: transactions.generate(options))
        pq.write_table(raw, out / "transactions.parquet")
        origin = (
            f"made by our generator: {options.customer_count:,} customers, "
            f"{options.terminal_count:,} terminals, {options.day_count} days, seed {options.seed}"
        )
    elif not arguments.data.is_file():
        raise ValueError(f"There is no file {arguments.data}; --data takes transactions as Parquet")
    else:
        origin = f"read from {arguments.data}"
    computed = timed("15 features", lambda: features.add_features(raw))
    fraud_count = count_frauds(computed)
    share = fraud_count / max(computed.num_rows, 1)
    rows = f"{computed.num_rows:,}, {fraud_count:,} of them frauds ({share:.2%}); {origin}"
    say(rows)
    days = choose_days(arguments.first_day, computed)
    train, test = split.split_by_time(computed, days)
    words = {
        "Transactions": rows,
        "Features": f"{len(features.FEATURES)}, each from what was known at the time",
        "Training": f"day {days.first_day} to {days.first_day + days.train_days - 1}: "
        f"{train.num_rows:,} rows, {count_frauds(train):,} frauds",
        "Test": f"day {days.first_test_day} to {days.first_test_day + days.test_days - 1}, "
        f"without the cards known by then: {test.num_rows:,} rows, {count_frauds(test):,} frauds",
    }
    say(f"training: {words['Training']}")
    say(f"test: {words['Test']}")
    for name, part in (("train", train), ("test", test)):
        pq.write_table(part, out / f"{name}.parquet")
    return Data(out / "train.parquet", out / "test.parquet", test, words)


def choose_days(first_day: int | None, table: pa.Table) -> split.Split:
    """The book's days, or the last possible ones where the data end before."""
    if first_day is not None:
        return split.Split(first_day)
    last_day = max(table["TX_TIME_DAYS"].to_numpy(), default=-1)
    room = int(last_day) + 1 - split.Split(0).first_test_day - split.Split(0).test_days
    if room < 0:
        raise ValueError(
            f"The transactions end on day {last_day}, too soon for 7 days of training, 7 of delay "
            "and 7 of test; give 21 days at least, or 50 for features that have seen a month"
        )
    return split.Split(min(BOOK_FIRST_DAY, room))


def make_job(arguments: argparse.Namespace, data: Data, out: Path) -> Job:
    settings = SMALL_SETTINGS if arguments.small else SETTINGS
    if arguments.trees:
        settings = Settings(**asdict(settings) | {"trees": arguments.trees})
    left_out = set(data.test.column_names) - {*features.FEATURES, features.LABEL}
    return Job(
        train=str(data.train),
        test=str(data.test_file),
        label=features.LABEL,
        task="binary",
        scores=str(out / "scores.npy"),
        settings=settings,
        exclude=[name for name in data.test.column_names if name in left_out],
        seed=arguments.seed,
        threads=arguments.threads,
        watch_metric=True,
    )


def train_three_times(evergrove: Path, job: Job, out: Path, story: Story) -> Outcome:
    """Undisturbed; killed half-way; and the very command that was killed once more.
    Returns what the undisturbed run took."""
    calm_log, calm_model = out / "undisturbed-log", out / "undisturbed.evergrove"
    log, model = out / "killed-log", out / "killed.evergrove"
    for path in (calm_log, log):
        shutil.rmtree(path, ignore_errors=True)
    for path in (calm_model, model):
        path.unlink(missing_ok=True)

    heading("Train, undisturbed")
    command = outcome.train_command(evergrove, job, calm_model, log=calm_log, resume=True)
    calm = train(command)
    story.undisturbed_seconds = calm.seconds["process"]
    story.undisturbed_digest = digest(evergrove, calm_model)
    say(f"{job.settings.trees} trees in {calm.seconds['process']:.1f} s")

    heading("Train, and be killed half-way")
    command = outcome.train_command(evergrove, job, model, log=log, resume=True)
    story.command = shlex.join(command).replace(f"{ROOT}/", "")
    print(f"$ {story.command}")
    cut = interruption.kill_half_way(
        command,
        log,
        model,
        whole_bytes=interruption.log_bytes(calm_log),
        tree_count=job.settings.trees,
        count_trees=lambda path: int(outcome.inspect(evergrove, path)["trees"]),
        show_errors=True,
    )
    clear_line()
    story.killed_seconds, story.killed_trees = cut.seconds, cut.trees
    say(f"SIGKILL after {cut.seconds:.1f} s: {cut.trees} of {job.settings.trees} trees in the log")

    heading("The same command again")
    resumed = train(command)
    story.resumed_seconds = resumed.seconds["process"]
    story.resumed_from = int(resumed.answer["resumed_iterations"])
    story.resumed_digest = digest(evergrove, model)
    say(f"went on after tree {story.resumed_from}, done in {story.resumed_seconds:.1f} s")
    say(f"undisturbed  {story.undisturbed_digest}")
    say(f"resumed      {story.resumed_digest}")
    say("the same model, to the bit" if story.same_model else "THE MODELS DIFFER")
    return calm


def train(command: list[str]) -> Outcome:
    measured = run_measured(command, show_errors=True)
    answer = outcome.read_answer(measured)
    if answer.error:
        raise RuntimeError(f"evergrove train {answer.error}")
    return answer


def digest(evergrove: Path, model: Path) -> str:
    measured = run_measured([str(evergrove), "digest", str(model)])
    if measured.returncode != 0:
        raise RuntimeError(f"evergrove digest {model}: {measured.explain()}")
    return measured.output.strip()


def evaluate(evergrove: Path, job: Job, out: Path, ours: Outcome, test: pa.Table) -> Library:
    """Scores the test days with the resumed model, by the command."""
    heading("Evaluate")
    model = out / "killed.evergrove"
    command = [str(evergrove), "evaluate", "--model", str(model), "--data", job.test]
    command += ["--metrics", "auc,average_precision"]
    print(f"$ {shlex.join(command).replace(f'{ROOT}/', '')}")
    evaluated = run_measured([*command, "--json"])
    if evaluated.returncode != 0:
        raise RuntimeError(f"evergrove evaluate: {evaluated.explain()}")
    for metrics in json.loads(evaluated.output)["metrics"].values():
        say(", ".join(f"{metric} {value:.4f}" for metric, value in metrics.items()))
    scored = outcome.predict(evergrove, model, job)
    if scored.returncode != 0:
        raise RuntimeError(f"evergrove predict: {scored.explain()}")
    quality = split.measure(outcome.read_scores(Path(job.scores).with_suffix(".parquet")), test)
    say(f"of 100 cards looked at a day, compromised: {quality.card_precision:.1%}")
    return Library(
        title="Evergrove",
        version=outcome.version(evergrove),
        seconds=ours.seconds,
        peak_rss_bytes=ours.peak_rss_bytes,
        quality=quality._asdict(),
        curve=outcome.read_curve(evergrove, model),
    )


def compare(job: Job, out: Path, test: pa.Table) -> list[Library]:
    heading("Beside others, at equal settings")
    libraries = []
    for name in PEERS:
        peer = outcome.run_peer(name, job, out, show_progress=True, timeout=PEER_SECONDS_MAX)
        library = Library(peer.title, peer.version, error=peer.error)
        if peer.error:
            say(f"{peer.title}: {peer.error}")
        else:
            assert peer.scores is not None
            library.seconds, library.peak_rss_bytes = peer.seconds, peer.peak_rss_bytes
            library.quality = split.measure(peer.scores, test)._asdict()
            library.curve = peer.curve
        libraries.append(library)
    return libraries


def conclude(story: Story, out: Path) -> None:
    heading("Result")
    print(table(story.header(), [library.cells() for library in story.libraries]))
    print(f"\n{report.CAPTION}")
    print(
        f"\nThe picture: {(out / 'report.html').as_uri()}  (all of it took {story.seconds:.0f} s)"
    )


def count_frauds(table: pa.Table) -> int:
    return int((table[features.LABEL].to_numpy() != 0).sum())


def timed(what: str, work: Any) -> Any:
    start = time.perf_counter()
    result = work()
    say(f"{what} in {time.perf_counter() - start:.1f} s")
    return result


if __name__ == "__main__":
    sys.exit(main())
