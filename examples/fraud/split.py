# SPDX-License-Identifier: Apache-2.0
"""How the book splits transactions over time, and how it measures a detector of fraud.

Training days, then a delay after which their frauds are known, then test days. A card that is
known to be compromised on a test day (a fraud in training, or in the test so far but `delay_days`
ago) is blocked, so its transactions are no test any more.

    split = split_by_time(table, Split(first_day=115))
    quality = measure(scores, split.test)   # ROC AUC, average precision, card precision at 100
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Split:
    """Days are counted as in TX_TIME_DAYS. The book's published example is first_day 115, which
    is 2018-07-25, with seven days each."""

    first_day: int
    train_days: int = 7
    delay_days: int = 7
    test_days: int = 7

    @property
    def first_test_day(self) -> int:
        return self.first_day + self.train_days + self.delay_days


class Parts(NamedTuple):
    train: pa.Table
    test: pa.Table


class Quality(NamedTuple):
    roc_auc: float
    average_precision: float
    card_precision: float  # at 100 cards a day


def split_by_time(table: pa.Table, split: Split) -> Parts:
    """Returns training and test rows, each in the order of the table."""
    day = table["TX_TIME_DAYS"].to_numpy()
    customer = table["CUSTOMER_ID"].to_numpy()
    fraud = table["TX_FRAUD"].to_numpy() != 0
    in_train = (day >= split.first_day) & (day < split.first_day + split.train_days)
    in_test = np.zeros(len(day), np.bool_)
    known = np.unique(customer[in_train & fraud])
    for offset in range(split.test_days):
        newest_known_day = split.first_test_day + offset - split.delay_days - 1
        known = np.union1d(known, customer[(day == newest_known_day) & fraud])
        in_test |= (day == split.first_test_day + offset) & ~np.isin(customer, known)
    parts = Parts(table.filter(pa.array(in_train)), table.filter(pa.array(in_test)))
    for name, part in parts._asdict().items():
        frauds = int((part["TX_FRAUD"].to_numpy() != 0).sum())
        if frauds in (0, part.num_rows):
            raise ValueError(
                f"The {name} days hold {part.num_rows} transactions with {frauds} frauds; both "
                f"kinds are needed: choose other days than {split} or give more data"
            )
    return parts


def measure(scores: Array, test: pa.Table, cards_a_day: int = 100) -> Quality:
    """Returns the book's three figures for scores of the rows of `test`."""
    fraud = test["TX_FRAUD"].to_numpy() != 0
    return Quality(
        roc_auc(scores, fraud),
        average_precision(scores, fraud),
        card_precision(
            scores,
            fraud,
            test["CUSTOMER_ID"].to_numpy(),
            test["TX_TIME_DAYS"].to_numpy(),
            cards_a_day,
        ),
    )


def roc_auc(scores: Array, positive: Array) -> float:
    """Returns the share of (positive, negative) pairs in the right order, ties counting half."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    middle_rank = np.cumsum(count) - (count - 1) / 2
    positive_count = int(positive.sum())
    negative_count = len(positive) - positive_count
    rank_sum = float(middle_rank[place][positive].sum())
    return (rank_sum - positive_count * (positive_count + 1) / 2) / (
        positive_count * negative_count
    )


def average_precision(scores: Array, positive: Array) -> float:
    """Returns the sum of precision times gain in recall over the distinct scores, high to low."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    precision = hits[last] / (last + 1)
    gain = np.diff(hits[last], prepend=0)
    return float((precision * gain).sum() / positive.sum())


def card_precision(
    scores: Array, fraud: Array, customer: Array, day: Array, cards_a_day: int = 100
) -> float:
    """Returns the mean over days of the share of compromised cards among the `cards_a_day` cards
    with the highest score of a transaction that day. Equal scores: the smaller CUSTOMER_ID first.
    A card detected on one day is not looked at again on later days.
    """
    detected = np.empty(0, customer.dtype)
    precisions = []
    for today in np.unique(day):
        rows = np.flatnonzero((day == today) & ~np.isin(customer, detected))
        cards, place = np.unique(customer[rows], return_inverse=True)
        highest = np.full(len(cards), -np.inf)
        np.maximum.at(highest, place, scores[rows])
        compromised = np.zeros(len(cards), np.bool_)
        np.logical_or.at(compromised, place, fraud[rows])
        top = np.argsort(-highest, kind="stable")[:cards_a_day]
        found = cards[top[compromised[top]]]
        precisions.append(len(found) / cards_a_day)
        detected = np.union1d(detected, found)
    return float(np.mean(precisions))
