#!/usr/bin/env python3
"""The checks of this folder find what they are there to find."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).parent


def run(script, *files, arguments=()):
    with tempfile.TemporaryDirectory() as root:
        for name, text in files:
            path = Path(root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return subprocess.run([sys.executable, HERE / script, root, *arguments], capture_output=True, text=True)


class Layering(unittest.TestCase):
    def expect_breach(self, name, text, words):
        result = run("layering.py", (name, text))
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn(words, result.stdout)

    def test_a_breach_of_the_link_graph_is_found(self):
        self.expect_breach("projections/a.cpp", '#include "cdc/node_stream.hpp"\n', "projections must not include")
        self.expect_breach("cdc/source/a.cpp", '#include "cdc/publish/event_publisher.hpp"\n', "cdc/source must not include")
        self.expect_breach("core/a.hpp", '#include "catalog/catalog.hpp"\n', "core must not include")

    def test_a_library_outside_its_place_is_found(self):
        self.expect_breach("catalog/a.cpp", "#include <libpq-fe.h>\n", "belongs only in core/pg/")
        self.expect_breach("cdc/a.hpp", "#include \"core/json.hpp\"\n", "in a header")
        self.expect_breach("cdc/a.cpp", "#include <nlohmann/json.hpp>\n", "core/json.hpp")

    def test_what_is_allowed_passes(self):
        result = run("layering.py", ("daemon/a.cpp", '#include "cdc/node_stream.hpp"\n#include <toml++/toml.h>\n'))
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_an_empty_tree_is_not_a_pass(self):
        self.assertNotEqual(run("layering.py").returncode, 0)


class Documents(unittest.TestCase):
    def expect(self, check, words, *files):
        result = run("documents.py", *files, arguments=(check,))
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn(words, result.stdout)

    def test_long_and_missing_readmes_are_found(self):
        self.expect("readmes", "longer than 40", ("core/README.md", "line\n" * 41))
        self.expect("readmes", "has no README.md", ("core/a.hpp", ""))

    def test_a_link_to_nowhere_is_found(self):
        self.expect("links", "docs/gone.md", ("README.md", "[x](docs/gone.md)"), ("CONTRIBUTING.md", ""))

    def test_a_table_of_differences_that_drifted_is_found(self):
        entry = '[{"what": "a", "debezium": "b", "keyshift": "c", "reason": "d"}]'
        self.expect("differences", "| a | b | c | d |", ("tests/contract/differences.json", entry), ("docs/debezium.md", "## Different, because Debezium is wrong\n| a | b | c | e |\n"))

    def test_a_metric_that_drifted_is_found(self):
        board = ("compose/grafana/dashboards/keyshift.json", '{"x": "keyshift_c_total"}')
        alerts = [("compose/prometheus/alerts.yml", ""), ("compose/prometheus/alerts_test.yml", "")]
        code = ("metrics/families.cpp", '"keyshift_a_total"')
        self.expect("metric_families", "does not describe keyshift_a_total", code, ("docs/metrics.md", "`keyshift_b_total`"), board, *alerts)
        self.expect("metric_families", "uses keyshift_c_total", code, ("docs/metrics.md", "`keyshift_a_total`"), board, *alerts)

    def test_an_unknown_invariant_is_found(self):
        self.expect("invariants", "INV-CDC-9", ("core/a.cpp", "// INV-CDC-9"), ("docs/invariants.md", ""))


if __name__ == "__main__":
    unittest.main()
