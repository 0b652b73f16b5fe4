#!/usr/bin/env python3
"""documents.py ROOT: what the tree says about itself is true. Prints each untruth; exit 1 if there is one."""

import json
import re
import sys
from pathlib import Path

CODE = ("core", "metrics", "catalog", "cdc", "resharder", "projections", "advisor", "daemon", "demo", "bench", "tests")
METRIC = re.compile(r"\b(?:keyshift|process)_[a-z0-9_]+\b")
DERIVED = re.compile(r"_(?:bucket|sum|count)$")


def sources(root, *suffixes):
    return [path for folder in CODE for path in sorted((root / folder).rglob("*")) if path.suffix in suffixes]


def readmes(root):
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if folder.name == "build":
            continue
        readme = folder / "README.md"
        if not readme.exists():
            yield f"{folder.name}/ has no README.md"
        elif len(readme.read_text().splitlines()) > 40:
            yield f"{folder.name}/README.md is longer than 40 lines"


def file_lengths(root):
    for path in sources(root, ".cpp", ".hpp"):
        length = len(path.read_text().splitlines())
        if length > 400:
            yield f"{path.relative_to(root)} has {length} lines; 400 is the limit"


def links(root):
    pages = [root / "README.md", root / "CONTRIBUTING.md"]
    pages += [path for folder in root.iterdir() if folder.is_dir() and folder.name not in ("build", ".git") for path in folder.rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith("http") and not (page.parent / target).exists():
                yield f"{page.relative_to(root)} links to {target}, which is not there"
    for path in sources(root, ".cpp", ".hpp", ".sql", ".md"):
        for target in re.findall(r"\bdocs/[a-z0-9/_-]+\.md", path.read_text()):
            if not (root / target).exists():
                yield f"{path.relative_to(root)} cites {target}, which is not there"


def metric_families(root):
    declared = {name for path in sources(root, ".cpp") if path.parent == root / "metrics" for name in re.findall(r'"((?:keyshift|process)_[a-z0-9_]+)"', path.read_text())}
    described = set(METRIC.findall((root / "docs/metrics.md").read_text()))
    if not declared:
        yield "no metric family found in metrics/"
    for name in sorted(declared - described):
        yield f"docs/metrics.md does not describe {name}"
    for name in sorted(described - declared):
        yield f"docs/metrics.md describes {name}, which metrics/ does not declare"
    for page in ("compose/grafana/dashboards/keyshift.json", "compose/prometheus/alerts.yml", "compose/prometheus/alerts_test.yml"):
        for name in sorted(set(METRIC.findall((root / page).read_text()))):
            if DERIVED.sub("", name) not in described and name not in described:
                yield f"{page} uses {name}, which docs/metrics.md does not describe"


def dashboard(root):
    board = json.loads((root / "compose/grafana/dashboards/keyshift.json").read_text())
    graphs = [panel for panel in board["panels"] if panel["type"] != "row"]
    for panel in graphs:
        if not any(METRIC.search(target["expr"]) for target in panel["targets"]):
            yield f"panel {panel['title']!r} shows no metric"
    if len({panel["id"] for panel in board["panels"]}) != len(board["panels"]):
        yield "two panels have one id"


def invariants(root):
    known = set(re.findall(r"^## (INV-[A-Z]+-\d+)", (root / "docs/invariants.md").read_text(), re.M))
    cited = {}
    for path in sources(root, ".cpp", ".hpp", ".sql"):
        for name in re.findall(r"INV-[A-Z]+-\d+", path.read_text()):
            cited.setdefault(name, []).append(str(path.relative_to(root)))
    for name in sorted(set(cited) - known):
        yield f"{cited[name][0]} cites {name}, which docs/invariants.md does not have"
    for name in sorted(known):
        where = cited.get(name, [])
        if not any(not path.startswith("tests/") for path in where):
            yield f"{name} is cited nowhere in the product"


def proofs(root):
    tests = {f"{suite}.{name}" for path in sources(root, ".cpp") for suite, name in re.findall(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", path.read_text(), re.M)}
    text = (root / "docs/invariants.md").read_text()
    for section in re.split(r"^## ", text.split("\n# The states")[0], flags=re.M)[1:]:
        named = re.findall(r"`(\w+\.\w+)`", section.partition("Proved by:")[2])
        if not named:
            yield f"docs/invariants.md names no test for {section.split()[0]}"
        for name in named:
            if name not in tests:
                yield f"docs/invariants.md names {name}, which is no test"
    for name in re.findall(r"`(\w+\.\w+)`", text.partition("\n# The cases of a projection")[2]):
        if name not in tests:
            yield f"docs/invariants.md names {name}, which is no test"
    named = set(re.findall(r"`//?(\w+)`", text.partition("\n# The cases of a projection")[2]))
    for path in sources(root, ".cpp"):
        if path.name.startswith("any_order"):
            named -= set(re.findall(r'"(\w+)"', path.read_text()))
    for name in sorted(named - {"Case"}):
        yield f"docs/invariants.md names the case {name}, which there is not"


def configuration(root):
    code = (root / "daemon/config_keys.cpp").read_text()
    known = set(re.findall(r'\b\w*_?key(?:s)?\(\s*"([a-z]+\.[a-z_]+)"|ConfigKey key\{"([a-z]+\.[a-z_]+)"', code))
    known = {a or b for a, b in known}
    described = set(re.findall(r"^\| `([a-z]+\.[a-z_]+)`", (root / "docs/configuration.md").read_text(), re.M))
    if not known:
        yield "no key found in daemon/config_keys.cpp"
    for name in sorted(known ^ described):
        yield f"{name} is in only one of docs/configuration.md and daemon/config_keys.cpp"


def packages(root):
    listed = set(re.findall(r"^[a-z][a-z0-9.+-]+$", (root / "packaging/debian-packages.txt").read_text(), re.M))
    build_stage = (root / "compose/Dockerfile").read_text().split("\nFROM ")[0]
    for name in sorted(set(re.findall(r"\b[a-z0-9.+-]+-dev\b", build_stage)) - listed):
        yield f"compose/Dockerfile installs {name}, which packaging/debian-packages.txt does not list"


def difference_table(root):
    rows = ["| case | Debezium 3.2.0 | Keyshift | because |", "|---|---|---|---|"]
    for entry in json.loads((root / "tests/contract/differences.json").read_text()):
        rows.append("| " + " | ".join(entry[part] for part in ("what", "debezium", "keyshift", "reason")) + " |")
    return rows


def differences(root):
    section = (root / "docs/debezium.md").read_text().partition("## Different, because Debezium is wrong")[2].partition("\n## ")[0]
    described = re.findall(r"^\|.*\|$", section, re.M)
    if described != difference_table(root):
        yield "docs/debezium.md: the last table is not that of tests/contract/differences.json, which is:"
        yield from difference_table(root)


CHECKS = {check.__name__: check for check in (readmes, file_lengths, links, metric_families, dashboard, invariants, proofs, configuration, packages, differences)}


def main():
    root = Path(sys.argv[1])
    chosen = sys.argv[2:] or list(CHECKS)
    found = [line for name in chosen for line in CHECKS[name](root)]
    for line in found:
        print(line)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
