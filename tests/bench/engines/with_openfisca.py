"""Three allowances worked out by OpenFisca-Japan; run in a virtual environment of its own by `tests.bench.others`.

    python with_openfisca.py COLUMNS.npz RESULTS.npz YYYY-MM-DD

Nothing of this project is imported here, and nothing of OpenFisca anywhere else. The columns are those that
`tests.bench.others.columns_of` writes. Prints one JSON line with seconds.
"""

import json
import sys
import time

import numpy as np
from openfisca_core.simulations import SimulationBuilder
from openfisca_japan import CountryTaxBenefitSystem

ALLOWANCES = {
    "000000/child-allowance": "児童手当",
    "000000/child-rearing-allowance": "児童扶養手当_最大",
    "130001/child-development-allowance": "児童育成手当",
}
RUNS = 3


def simulation(system, columns, day):
    """The households as OpenFisca's entities; what both sides are told is given, what they work out is not."""
    builder = SimulationBuilder()
    builder.create_entities(system)
    builder.declare_person_entity("人物", np.arange(len(columns["household"])))
    households = builder.declare_entity("世帯", np.arange(columns["size"]))
    roles = np.where(columns["is_child"], "子", "親")
    builder.join_with_persons(households, columns["household"], roles=roles)
    made = builder.build(system)
    made.set_input("誕生年月日", "ETERNITY", columns["birth"].astype("datetime64[D]"))
    made.set_input("ひとり親", day, columns["single_parent"])
    made.set_input("扶養人数", day, columns["dependants"])
    made.set_input("居住都道府県", day, np.full(columns["size"], "東京都", dtype=object))
    for name in ("児童扶養手当の控除後世帯高所得", "特別児童扶養手当の控除後世帯高所得"):
        made.set_input(name, day, columns["income"].astype(np.float32))
    return made


def main():
    source, target, day = sys.argv[1:]
    columns = dict(np.load(source))
    columns["size"] = int(columns["size"])
    start = time.perf_counter()
    system = CountryTaxBenefitSystem()
    loading = time.perf_counter() - start
    building, working, found = float("inf"), float("inf"), {}
    for _ in range(RUNS):
        start = time.perf_counter()
        made = simulation(system, columns, day)
        building = min(building, time.perf_counter() - start)
        start = time.perf_counter()
        found = {key: made.calculate(name, day) for key, name in ALLOWANCES.items()}
        working = min(working, time.perf_counter() - start)
    np.savez(target, **{key.replace("/", "__"): values for key, values in found.items()})
    print(json.dumps({"load_seconds": loading, "build_seconds": building, "seconds": working}))


if __name__ == "__main__":
    main()
