"""The bill of materials: packages, and the browser files that they contain.

``build/audit/bin/python -m tests.proof.supply.bill FILE`` adds the browser files to the output of
CycloneDX's own tool, as the packages' metadata do not list them, and validates the result against
the schema.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

# Installed apart from the rest: see requirements-audit.in.
from cyclonedx.schema import SchemaVersion  # type: ignore[import-not-found]
from cyclonedx.validation.json import JsonStrictValidator  # type: ignore[import-not-found]

from tests.supply.assets import ASSETS, Asset


def add_assets(bill: dict[str, Any]) -> None:
    """Add the browser assets, as dependencies of the packages that contain them."""
    refs = {each["name"].lower(): each["bom-ref"] for each in bill["components"]}
    needs = {each["ref"]: each for each in bill["dependencies"]}
    for asset in ASSETS:
        if not asset.npm:
            continue  # it is part of its package, whose version is its own
        component = _component(asset)
        bill["components"].append(component)
        bill["dependencies"].append({"ref": component["bom-ref"]})
        package = needs[refs[asset.package]]
        package["dependsOn"] = sorted([*package.get("dependsOn", ()), component["bom-ref"]])


def _component(asset: Asset) -> dict[str, Any]:
    purl = f"pkg:npm/{asset.npm}@{asset.version}"
    return {
        "bom-ref": purl,
        "type": "library",
        "name": asset.npm,
        "version": asset.version,
        "description": f"{asset.name}, handed out to browsers, comes with {asset.package}",
        "licenses": [{"license": {"name": asset.licence}}],
        "purl": purl,
    }


def complete(path: Path) -> None:
    """Complete a bill; exit with a message if it violates its schema."""
    bill = json.loads(path.read_text(encoding="utf-8"))
    add_assets(bill)
    text = json.dumps(bill, indent=2) + "\n"
    version = SchemaVersion.from_version(bill["specVersion"])
    if error := JsonStrictValidator(version).validate_str(text):
        sys.exit(f"{path}: {error}")
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    complete(Path(sys.argv[1]))
