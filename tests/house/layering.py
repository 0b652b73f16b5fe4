#!/usr/bin/env python3
"""layering.py ROOT: who may include whom (docs/architecture.md). Prints each breach; exit 1 if there is one."""

import re
import sys
from pathlib import Path

# What a part may include beside itself and the standard library. "cdc" is the wiring of cdc/source and cdc/publish.
MAY_INCLUDE = {
    "core": set(),
    "metrics": {"core"},
    "catalog": {"core", "metrics"},
    "cdc/source": {"core", "metrics", "catalog", "cdc/options"},
    "cdc/publish": {"core", "metrics", "cdc/options", "cdc/source/change"},
    "cdc": {"core", "metrics", "catalog", "cdc/source", "cdc/publish"},
    "resharder": {"core", "metrics", "catalog", "cdc/source"},
    "projections": {"core", "metrics", "catalog"},
    "advisor": {"core", "catalog"},
    "daemon": {"core", "metrics", "catalog", "cdc", "cdc/source", "cdc/publish", "resharder", "projections", "advisor"},
    "demo": {"core"},
}
# A library's header and the only places that may see it.
CONFINED = {
    r"libpq-fe\.h|postgres_ext\.h": ("core/pg/",),
    r"librdkafka/.*|rdkafka\.h": ("core/kafka/",),
    r"toml\+\+/.*|toml\.hpp|toml\+\+\.h": ("daemon/",),
    r"prometheus/.*": ("metrics/",),
    r"CLI/.*": ("daemon/", "demo/", "bench/"),
    r"boost/.*": ("daemon/",),
    r"pg_query\.h|pg_query/.*": ("projections/", "catalog/sql_tree", "advisor/"),
    r"systemd/.*": ("daemon/",),
    r"nlohmann/json\.hpp": ("core/json.hpp",),
}
HEAVY_IN_HEADERS = "core/json.hpp"
PRODUCT = ("core/", "metrics/", "catalog/", "cdc/", "resharder/", "projections/", "advisor/", "daemon/", "demo/", "bench/")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def part_of(path):
    for part in sorted(MAY_INCLUDE, key=len, reverse=True):
        if path.startswith(part + "/"):
            return part
    return None


def breaches(path, text):
    part = part_of(path)
    for kind, header in INCLUDE.findall(text):
        for pattern, places in CONFINED.items():
            if re.fullmatch(pattern, header) and not path.startswith(places):
                yield f"{path}: <{header}> belongs only in {', '.join(places)}"
        if path.endswith(".hpp") and re.fullmatch(HEAVY_IN_HEADERS, header):
            yield f"{path}: {header} in a header; use <nlohmann/json_fwd.hpp>"
        if kind != '"' or part is None:
            continue
        stem = header.removesuffix(".hpp")
        if not header.startswith(PRODUCT):
            yield f'{path}: "{header}" is not named from the top of the tree'
            continue
        if part_of(header) == part or any(stem == ok or stem.startswith(ok + "/") for ok in MAY_INCLUDE[part]):
            continue
        yield f'{path}: {part} must not include "{header}"'


def main():
    root = Path(sys.argv[1])
    files = sorted(str(path.relative_to(root)) for folder in PRODUCT for path in (root / folder).rglob("*.[hc]pp"))
    if not files:
        sys.exit(f"no file found below {root}: nothing was checked")
    found = [line for name in files for line in breaches(name, (root / name).read_text())]
    for line in found:
        print(line)
    print(f"{len(files)} files, {len(found)} breaches")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
