# SPDX-License-Identifier: Apache-2.0
"""How good scores are: the book's three figures, and one for each way of defrauding.

quality(scores, test)   # {"roc_auc": ..., "by_scenario": {"1": {"frauds": 23, ...}}}
"""

from typing import Any

import pyarrow as pa

from examples.fraud.split import Array, measure, roc_auc

SCENARIO = "TX_FRAUD_SCENARIO"


def quality(scores: Array, test: pa.Table) -> dict[str, Any]:
    whole = measure(scores, test)
    return {
        "roc_auc": whole.roc_auc,
        "average_precision": whole.average_precision,
        "card_precision": whole.card_precision,
        "by_scenario": by_scenario(scores, test),
    }


def by_scenario(scores: Array, test: pa.Table) -> dict[str, dict[str, float]]:
    """The frauds of each scenario against all genuine transactions."""
    scenario = test[SCENARIO].to_numpy()
    found = {}
    for each in sorted(set(scenario[scenario > 0].tolist())):
        rows = (scenario == 0) | (scenario == each)
        is_fraud = scenario[rows] == each
        found[str(each)] = {
            "frauds": int(is_fraud.sum()),
            "roc_auc": roc_auc(scores[rows], is_fraud),
        }
    return found
