# SPDX-License-Identifier: Apache-2.0
"""The sanitizers' campaign: runs tests of modules and of processes, and writes a page of them.

script/campaign sanitizers [thread] [address] [--only modules|processes]
                           [MODULE_test | test_FILE.py]...
"""

import argparse
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from tests.campaigns.report import ROOT, table, write_page

BUILDS = {"thread": "tsan", "address": "asan"}
HEADER = ["sanitizer", "tests of", "passed", "failed", "skipped", "seconds", "commit"]
REPORTS = ("WARNING: ThreadSanitizer", "ERROR: AddressSanitizer", "runtime error:")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="script/campaign sanitizers", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("what", nargs="*", help="thread, address (both); tests (all)")
    parser.add_argument("--only", choices=["modules", "processes"], help="only tests of these")
    options = parser.parse_intermixed_args()
    kinds = [name for name in BUILDS if name in options.what] or list(BUILDS)
    files = [name for name in options.what if name.endswith(".py")]
    modules = [name for name in options.what if name not in (*BUILDS, *files)]
    failed = False
    for kind in kinds:
        if options.only != "processes":
            failed |= not sanitize(kind, *modules)
        if options.only != "modules":
            failed |= not sanitize(kind, "--processes", *files)
    path = write_page("sanitizers", "Sanitizers", "script/campaign sanitizers", body())
    print(f"wrote {path.relative_to(ROOT)}", file=sys.stderr)
    return int(failed)


def sanitize(*arguments: str) -> bool:
    return subprocess.run([ROOT / "script" / "sanitize", *arguments], check=False).returncode == 0


def body() -> str:
    """All that was run last under each sanitizer, now or before."""
    rows = []
    reports = []
    for kind, build in BUILDS.items():
        tests = ROOT / "build" / f"{build}-tests"
        for report in sorted(tests.glob("modules/*/results.xml")):
            row = of_gtest(report)
            rows.append([kind, f"`{report.parent.name}`", *row, commit_of(report.parent)])
        for report in sorted(tests.glob("*/pytest.xml")):
            row = of_pytest(report)
            rows.append([kind, f"`{report.parent.name}.py`", *row, commit_of(report.parent)])
        if tests.exists():
            reports.append(f"{reports_of(build)} of the {kind} sanitizer")
    return (
        "What ran last of each, with clang's sanitizers: `thread` with a oneTBB that is "
        "instrumented too, `address` with undefined behaviour and leaks. Tests of `tests/process` "
        "start the command that was so built, several processes a run, and kill and disturb them."
        f"\n\n{table(HEADER, rows)}\n\nReports: {', '.join(reports)}."
    )


def of_gtest(report: Path) -> list[str]:
    suites = ET.parse(report).getroot()
    count = {name: int(suites.get(name, 0)) for name in ("tests", "failures", "errors")}
    skipped = len(suites.findall(".//skipped"))
    failed = count["failures"] + count["errors"]
    ran = count["tests"] - int(suites.get("disabled", 0))
    return figures(ran - failed - skipped, failed, skipped, float(suites.get("time", 0)))


def of_pytest(report: Path) -> list[str]:
    suite = ET.parse(report).getroot().find("testsuite")
    assert suite is not None, report
    count = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    failed = count["failures"] + count["errors"]
    passed = count["tests"] - failed - count["skipped"]
    return figures(passed, failed, count["skipped"], float(suite.get("time", 0)))


def figures(passed: int, failed: int, skipped: int, seconds: float) -> list[str]:
    return [str(passed), str(failed), str(skipped), f"{seconds:.0f}"]


def commit_of(folder: Path) -> str:
    return f"`{(folder / 'commit').read_text().strip()}`"


def reports_of(build: str) -> int:
    """How often a sanitizer had something to say."""
    logs = [
        ROOT / "build" / f"{build}.log",
        *(ROOT / "build" / f"{build}-findings").glob("*/report*"),
    ]
    return sum(
        log.read_text(errors="replace").count(words)
        for log in logs
        if log.exists()
        for words in REPORTS
    )


if __name__ == "__main__":
    sys.exit(main())
