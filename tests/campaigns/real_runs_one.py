# SPDX-License-Identifier: Apache-2.0
"""One real run in a process of its own: real_runs_one SEED ROWS SECRETS prints what came of it."""

import json
import sys
from pathlib import Path

from tests.campaigns.real_runs import one_run

if __name__ == "__main__":
    print(json.dumps(one_run(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))))
