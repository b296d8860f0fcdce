#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Adds up the reports that GoogleTest and pytest wrote into a folder, and names what failed.

The last line is `N passed, N failed, N skipped`; exit 1 if any failed or none ran. A program that
died before it wrote its report is counted as failed by --died.

    tools/count_tests.py build/test-results --died 0
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


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--died", type=int, default=0)
    arguments = parser.parse_args()
    count = Counter({"failed": arguments.died})
    for report in sorted(arguments.folder.glob("*.xml")):
        for name, outcome in outcomes(report):
            count[outcome] += 1
            if outcome == "failed":
                print(f"failed: {name}")
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
