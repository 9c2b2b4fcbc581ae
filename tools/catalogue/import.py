"""Bring a catalogue data set into the package: `python tools/catalogue/import.py FOLDER`.

FOLDER holds `models.json`, `providers.json`, `benchmarks.json` and `NOTICE`. Each JSON file is one object
with its rows one per line, and is written so again: a refresh is a diff that can be read and reviewed.

What is normalised, and nothing else:

- Prices finer than a picodollar are rounded **up** to one ("0.00000008333333333" becomes
  "0.000000083334"): money here is whole picodollars, and a price may never be less than what we owe.
- What is known to be wrong is corrected, see `corrections.py`.

Refused: another `format` than 1, a price that is no decimal number, repeated ids, a row that is not on a
line of its own.
"""

from __future__ import annotations

import argparse
import json
import shutil
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

from corrections import CORRECTIONS, correct

PACKAGE_DATA = Path(__file__).resolve().parents[2] / "src" / "fairlead" / "data"
PICODOLLAR = Decimal("1e-12")
# The file, the name of its list, and what names a row.
FILES = (
    ("models.json", "models", ("id",)),
    ("providers.json", "providers", ("slug",)),
    ("benchmarks.json", "benchmarks", ()),
)

Row = dict[str, Any]  # JSON of a known shape; only prices and ids are looked at


def main() -> None:
    parser = argparse.ArgumentParser(description="Bring a catalogue data set into the package.")
    parser.add_argument("folder", type=Path, help="where the three JSON files and NOTICE are")
    folder: Path = parser.parse_args().folder
    for name, rows_name, identity in FILES:
        document = json.loads((folder / name).read_text(encoding="utf-8"))
        if document["format"] != 1:
            raise SystemExit(f"{name}: format {document['format']} is not known, only 1 is")
        rows: list[Row] = document.pop(rows_name)
        for field in identity:
            _refuse_repeated(name, [row[field] for row in rows])
        rounded = sum(_round_prices(row) for row in rows) if rows_name == "models" else 0
        for one in CORRECTIONS if rows_name == "models" else ():
            print(f"{correct(rows, one)} lists of parameters corrected: {one.reason}")
        (PACKAGE_DATA / name).write_text(_one_row_per_line(document, rows_name, rows), "utf-8")
        print(f"{name}: {len(rows)} rows, {rounded} prices rounded up to a picodollar")
    shutil.copyfile(folder / "NOTICE", PACKAGE_DATA / "NOTICE")


def _refuse_repeated(name: str, ids: list[str]) -> None:
    repeated = {one for one in ids if ids.count(one) > 1}
    if repeated:
        raise SystemExit(f"{name}: repeated ids {sorted(repeated)}")


def _round_prices(model: Row) -> int:
    """Round the prices of a model's endpoints in place. Returns how many changed."""
    changed = 0
    for endpoint in model["endpoints"]:
        base = endpoint["pricing"] or {}
        tables = [base, *base.get("overrides", ()), *endpoint.get("service_tiers", {}).values()]
        for table in tables:
            for key, price in table.items():
                if isinstance(price, str):
                    table[key] = _in_picodollars(price)
                    changed += table[key] != price
    return changed


def _in_picodollars(price: str) -> str:
    exact = Decimal(price)
    rounded = exact.quantize(PICODOLLAR, rounding=ROUND_CEILING)
    return price if rounded == exact else f"{rounded:f}".rstrip("0")


def _one_row_per_line(head: Row, rows_name: str, rows: list[Row]) -> str:
    opening = json.dumps(head, ensure_ascii=False)[:-1]
    lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    return f'{opening}, "{rows_name}": [\n' + ",\n".join(lines) + "\n]}\n"


if __name__ == "__main__":
    main()
