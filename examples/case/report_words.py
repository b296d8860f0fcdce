# SPDX-License-Identifier: Apache-2.0
"""The sentences of the fraud case's report, made from its figures and true for any outcome."""

from enum import Enum

from examples.case.figures import Case, Contender

DIGEST_TITLES = {
    "one_machine": "one machine, no cluster",
    "static": "cluster, nobody lost",
    "trace": "cluster on the trace",
}
TRACE, STATIC = "evergrove_trace", "evergrove_static"
UNKNOWN = "–"
NO_BREAK = "\N{NO-BREAK SPACE}"


class Verdict(Enum):
    """What the digests say."""

    EQUAL = "Equal to the bit"
    DIFFERENT = "Different"
    UNKNOWN = "Not compared"


def verdict(case: Case) -> Verdict:
    known = {name: digest for name, digest in case.digests.items() if digest}
    if len(set(known.values())) > 1:
        return Verdict.DIFFERENT
    # One of them missing is no proof that all are equal.
    return Verdict.EQUAL if known.keys() >= DIGEST_TITLES.keys() else Verdict.UNKNOWN


def headline(case: Case) -> str:
    return "; ".join([ours(case), *peers(case)[:1]]) + "."


def lede(case: Case) -> str:
    """What the headline had no room for."""
    sentences = peers(case)[1:]
    static = [
        f"{each.library} {outcome(each)}"
        for each in case.contenders
        if each.cluster == "static" and each.name != STATIC
    ]
    if static:
        sentences.append(f"On the quiet cluster, {' and '.join(static)}")
    return " ".join(f"{sentence}." for sentence in sentences)


def ours(case: Case) -> str:
    run = case.of(TRACE)
    if run is None:
        return "Evergrove was not tried on machines that come and go"
    if run.losses:
        place = "On machines that came and went"
    elif run.losses == 0:
        place = "On spot machines of which none was lost"
    else:
        place = "On spot machines"
    if not run.finished:
        return f"{place}, Evergrove {outcome(run)}"
    if verdict(case) is Verdict.DIFFERENT:
        # Neither time nor cost matters then.
        return f"{place}, Evergrove made a model, but not the same one as elsewhere"
    is_same = verdict(case) is Verdict.EQUAL
    made = "the very model of a quiet cluster" if is_same else "a model"
    whose = "its" if is_same else "a quiet cluster's"
    return ", ".join([f"{place}, Evergrove made {made}", *compared(run, case.of(STATIC), whose)])


def compared(run: Contender, static: Contender | None, whose: str) -> list[str]:
    """Time and money on the trace against those of our own run where nobody was lost."""
    parts = []
    is_static_known = static is not None and static.finished
    if run.seconds is not None:
        words = f"in {seconds(run.seconds)}"
        if static is not None and is_static_known and static.seconds is not None:
            words += f" instead of {seconds(static.seconds)}"
        parts.append(words)
    share = cost_share(run, static)
    if share is not None:
        parts.append(f"at {percent(share)} of {whose} on-demand cost")
    return parts


def cost_share(run: Contender, static: Contender | None) -> float | None:
    """The trace at spot prices, as a share of the quiet cluster at on-demand prices."""
    if static is None or not static.finished or run.cost.spot is None or not static.cost.on_demand:
        return None
    return run.cost.spot / static.cost.on_demand


def peers(case: Case) -> list[str]:
    """A sentence for each that is not ours and was on the trace, the one begun again first."""
    found = sorted(
        (each for each in case.contenders if not each.is_ours and each.cluster == "trace"),
        key=lambda each: each.keeps_checkpoints,
    )
    return [
        f"{each.library} with {'checkpoints' if each.keeps_checkpoints else 'restarts'} "
        f"{outcome(each)}"
        for each in found
    ]


def outcome(contender: Contender) -> str:
    """Returns what became of it: "took 52 s", "did not finish in 180 s"."""
    if contender.finished:
        words = "finished"
        if contender.seconds is not None:
            words = f"took {seconds(contender.seconds)}"
        if contender.attempts is not None and contender.attempts > 1:
            words += f" and {contender.attempts} attempts"
        return words
    if contender.gave_up_after is not None:
        return f"did not finish in {seconds(contender.gave_up_after)}"
    if contender.seconds is not None:
        return f"failed after {seconds(contender.seconds)}"
    return "did not finish"


def seconds(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}{NO_BREAK}s" if value >= 20 else f"{value:.1f}{NO_BREAK}s"


def percent(share: float | None) -> str:
    if share is None:
        return UNKNOWN
    value = 100 * share
    return f"{value:.1f}{NO_BREAK}%" if 0 < value < 10 else f"{value:,.0f}{NO_BREAK}%"


def dollars(value: float | None) -> str:
    """Returns whole dollars, or cents where they matter."""
    if value is None:
        return UNKNOWN
    return f"${value:,.0f}" if value >= 100 else f"${value:.2f}"


def thousand(value: float | None) -> float | None:
    """Returns what a thousand cost."""
    return None if value is None else 1000 * value


def count(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.0f}"


def share(value: float | None) -> str:
    """Returns a quality between 0 and 1."""
    return UNKNOWN if value is None else f"{value:.3f}"


def size(byte_count: float) -> str:
    value, unit = byte_count, "bytes"
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:,.0f} {unit}" if unit in ("bytes", "KiB") else f"{value:,.1f} {unit}"
