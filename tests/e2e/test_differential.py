"""The relay beside tayga on the same packets: a small run of
scripts/differential."""

import os
import tempfile
import unittest

from lab import differential, tayga_differences
from world import ROOT


class Beside(unittest.TestCase):
    """Every difference is one that a sentence of an RFC explains."""

    def test_two_thousand_packets(self):
        with tempfile.TemporaryDirectory(prefix="weft-differential.") as directory:
            report = differential.compare(directory, 2000, seed=2)
        print(
            f"        {report.packets} packets, {report.same} alike, "
            f"{sum(report.classes.values())} differences explained"
        )
        self.assertEqual(sum(report.unexplained.values()), 0, report.text())
        # It would not do to have nothing to explain, or nothing alike.
        self.assertGreater(report.same, 500)
        self.assertGreater(len(report.classes), 10)

    def test_documents_explain_each(self):
        with open(os.path.join(ROOT, "docs", "deviations.md"), encoding="utf-8") as file:
            text = " ".join(file.read().split())
        for name in tayga_differences.DIFFERENCES:
            self.assertIn(f"| {name} |", text)


if __name__ == "__main__":
    unittest.main()
