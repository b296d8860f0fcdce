# SPDX-License-Identifier: Apache-2.0
"""What machine-seconds cost: one instance type, on demand and on the spot market.

prices = read_prices()
prices.of(machine_seconds=120.0)     # {"on_demand": 0.0128, "spot": 0.0051}
"""

import csv
import statistics
from dataclasses import dataclass
from pathlib import Path

CATALOGUE = Path(__file__).resolve().parents[3] / "shared/data/catalogue/spot_prices.csv"
INSTANCE, REGION = "m5.2xlarge", "us-east-1"
OWN = (8, 0.384, 0.17)  # where there is no catalogue: about what it has


@dataclass(frozen=True)
class Prices:
    instance: str
    vcpus: int
    on_demand_per_hour: float
    spot_per_hour: float
    source: str
    assumptions: list[str]

    def of(self, machine_seconds: float) -> dict[str, float]:
        hours = machine_seconds / 3600
        return {"on_demand": hours * self.on_demand_per_hour, "spot": hours * self.spot_per_hour}


def read_prices() -> Prices:
    vcpus, on_demand, spot = OWN
    source = "our own table, about what the catalogue has"
    if CATALOGUE.exists():
        with CATALOGUE.open() as file:
            rows = [
                row
                for row in csv.DictReader(file)
                if row["instance_type"] == INSTANCE and row["region"] == REGION
            ]
        vcpus = int(rows[0]["vcpus"])
        on_demand = float(rows[0]["price_usd_per_hour"])
        spot = statistics.median(float(row["spot_price_usd_per_hour"]) for row in rows)
        source = f"skypilot-catalog, {REGION}, median of {len(rows)} zones; a snapshot"
    return Prices(
        INSTANCE,
        vcpus,
        on_demand,
        spot,
        source,
        [
            f"Every worker process counts as one {INSTANCE}, from its start to its end; what it "
            "would cost there follows from the seconds that it lived here.",
            "Billed by the second. The least that clouds bill, 60 s a machine, would be most of it "
            "in a run that is sped up as this one is, and is left out.",
            "The scheduler's machine, the object store and traffic are left out; they are the same "
            "for all.",
            "A machine that is lost is paid until it is lost.",
        ],
    )
