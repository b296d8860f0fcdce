#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Adds up the reports of ctest, GoogleTest and pytest in a folder, and names what failed.

ctest.xml has a case a program. A program that wrote a report of its own is counted by that one,
unless ctest saw it fail and its report does not say so: then it died, and counts as a failure.
The last line is `N passed, N failed, N skipped`; exit 1 if any failed or none ran. --died adds
failures that no report tells of.

    tools/count_tests.py build/test-results
"""

import argparse
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path


def outcomes(report: Path) -> list[tuple[str, str]]:
    """Names of the cases in a report and how each ended."""
    found = []
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname', '')}.{case.get('name', '')}"
        if case.find("failure") is not None or case.find("error") is not None:
            found.append((name, "failed"))
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            found.append((name, "skipped"))
        else:
            found.append((name, "passed"))
    return found


def outcomes_of_all(folder: Path) -> list[tuple[str, str]]:
    own = {report.stem: outcomes(report) for report in sorted(folder.glob("*.xml"))}
    programs = own.pop("ctest", [])
    found = [outcome for report in own.values() for outcome in report]
    for name, outcome in programs:
        program = name.rpartition(".")[2]
        tells = any(ended == "failed" for _, ended in own.get(program, []))
        if program not in own or (outcome != "passed" and not tells):
            # ctest calls a program that it could not start skipped.
            found.append((program, "passed" if outcome == "passed" else "failed"))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--died", type=int, default=0)
    arguments = parser.parse_args()
    count = Counter({"failed": arguments.died})
    for name, outcome in outcomes_of_all(arguments.folder):
        count[outcome] += 1
        if outcome == "failed":
            print(f"failed: {name}")
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
