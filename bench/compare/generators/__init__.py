# SPDX-License-Identifier: Apache-2.0
"""What the cases' rows are made by. `draw(random, rows)` gives the columns of a block.

DRAWS["categories"](np.random.default_rng(1), 1_000)["delayed"]

What decides about the label (effects of categories, weights) is drawn from a seed of its own, so
that training and held-out rows, which have different seeds, follow the same law.
"""

from bench.compare import higgs_like
from bench.compare.blocks import Draw
from bench.compare.generators import cover, flights, sparse, twenty

DRAWS: dict[str, Draw] = {
    "dense": higgs_like.draw,
    "categories": flights.draw,
    "sparse": sparse.draw,
    "classes": cover.draw,
    "regression": twenty.draw_amounts,
    "twenty": twenty.draw_classes,
}
