# SPDX-License-Identifier: Apache-2.0
"""What a campaign writes: a page in docs/campaigns with the date, the machine and the command."""

import collections
import datetime
import os
import platform
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def machine() -> str:
    """The CPU, its cores, memory and system, in one line."""
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0))
    system = f"{platform.system()} {platform.release()}"
    release = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    return f"{model}, {cores} cores, {memory_bytes >> 30} GiB, {system}, {release}"


def commit() -> str:
    answer = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or "unknown"


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_page(name: str, title: str, command: str, body: str) -> Path:
    """Writes docs/campaigns/NAME.md and returns its path."""
    path = ROOT / "docs" / "campaigns" / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = table(
        ["what", "value"],
        [
            ["date", datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")],
            ["machine", machine()],
            ["commit", f"`{commit()}`"],
            ["command", f"`{command}`"],
        ],
    )
    path.write_text(f"# {title}\n\n{facts}\n\n{body.rstrip()}\n", encoding="utf-8")
    return path


def deeds_counted(answers: list[dict[str, object]]) -> str:
    """What befell the runs of a campaign, and how often."""
    deeds: collections.Counter[str] = collections.Counter()
    for answer in answers:
        told = answer["deeds"]
        assert isinstance(told, list)
        deeds.update(told)
    return ", ".join(f"{deeds[kind]} {kind.replace('_', ' ')}" for kind in sorted(deeds))


def seconds_of_runs(answers: list[dict[str, object]]) -> str:
    times = sorted(float(str(answer["seconds"])) for answer in answers)
    return f"{times[len(times) // 2]:.1f} median, {times[-1]:.1f} longest" if times else "none"


def failures(campaign: str, failed: list[dict[str, object]]) -> str:
    """The end of a page: what failed, and the command that runs it again."""
    if not failed:
        return ""
    lines = [
        f"- seed {answer['seed']}: {answer['result']}; `script/campaign {campaign} --seeds"
        f" {answer['seed']}-{answer['seed']}`"
        for answer in failed
    ]
    return "\n\nWhat failed:\n\n" + "\n".join(lines)
