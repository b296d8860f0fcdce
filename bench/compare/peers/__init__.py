# SPDX-License-Identifier: Apache-2.0
"""How each library is trained: one file a library, `train(run)` in each.

module = importlib.import_module(f"bench.compare.peers.{name}")
trained = module.train(run)      # run.seconds has "construct" (bins) and "fit"

Fair to every library: it is given the form of rows that it reads quickest (`FORMS`), and these are
given up once it has its bins.
"""

from bench.compare.rows import Form

# By module to import. Sparse rows only where the job says that they are worth it.
FORMS: dict[str, Form] = {"sklearn": "double"}
TAKES_SPARSE = ("lightgbm", "xgboost", "catboost")
