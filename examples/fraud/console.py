# SPDX-License-Identifier: Apache-2.0
"""What the demo says on the terminal: headings, lines, a table. Colours only on a terminal."""

import os
import sys

GREEN, BOLD, PLAIN = "\033[32m", "\033[1m", "\033[0m"


def heading(text: str) -> None:
    print(f"\n{styled(text, BOLD + GREEN)}", flush=True)


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def clear_line() -> None:
    """Takes away the bar of a command that was killed before it could."""
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def styled(text: str, style: str) -> str:
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return f"{style}{text}{PLAIN}" if coloured else text


def table(header: list[str], rows: list[list[str]]) -> str:
    """Returns rows as text: the first column to the left, numbers to the right. A row with fewer
    cells than the header says in its last one why."""
    whole = [row for row in [header, *rows] if len(row) == len(header)]
    widths = [max(len(row[column]) for row in whole) for column in range(len(header))]
    widths[0] = max(len(row[0]) for row in [header, *rows])
    lines = []
    for row in [header, *rows]:
        cells = [row[0].ljust(widths[0])]
        if len(row) == len(header):
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        else:
            cells += row[1:]
        lines.append("  " + "  ".join(cells).rstrip())
    lines[0] = styled(lines[0], BOLD)
    return "\n".join(lines)
