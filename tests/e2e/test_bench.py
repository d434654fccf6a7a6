"""The bench's own arithmetic: what is missed is said to be, every mark has its sentence, the chart shows the numbers. And
the soak's: what leaks is seen, what only trembles is not."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

from harness import ROOT, needs

sys.path[:0] = [os.path.join(ROOT, "tests")]

from soak_figures import judge  # noqa: E402

BENCH = os.path.join(ROOT, "bench")


class Bench(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="bench-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.results = self.path("results")

    def path(self, name):
        return os.path.join(self.dir, name)

    def python(self, script, *args):
        return subprocess.run([sys.executable, os.path.join(BENCH, script), *args], capture_output=True, text=True, check=True).stdout

    def summary(self, entries=None):
        if entries is not None:
            with open(self.results, "w") as f:
                f.writelines(json.dumps(e) + "\n" for e in entries)
        said = self.python("summary.py", self.results, self.path("out.json"))
        with open(self.path("out.json")) as f:
            return said, json.load(f)

    def mark(self, promise, kept, **more):
        return {"promise": promise, "what": "x", "metric": "ms", "base": "y", "value": 2, "low": 1, "high": 3, "sign": "<=",
                "limit": 2.5, "kept": kept, **more}

    @needs("cc")
    def test_the_timing_program_judges_marks_and_failures(self):
        subprocess.run(["cc", "-std=c17", "-D_GNU_SOURCE", "-I.", "-o", self.path("spawn"), "bench/spawn.c"], cwd=ROOT, check=True)
        with open(self.path("table"), "w") as f:
            f.write("true\t-\t-\ttrue\n"
                    "slow\ttrue\tT4:ms<=1\tsleep 0.4\n"
                    "quick\tslow\tT3:ms<=1,T3:mib<=500\ttrue\n"
                    "fails\tslow\tT5:ms<=1\tfalse\n")
        env = dict(os.environ, BENCH_RESULTS=self.results, BENCH_TABLE="a table")
        done = subprocess.run([self.path("spawn"), "-r", "2", "-n", "2", self.path("table")], env=env, capture_output=True, text=True)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertRegex(done.stdout, "missed once, so everything again: slow")
        said, out = self.summary()
        self.assertEqual([("T4", False), ("T3", True), ("T3", True), ("T5", False)], [(m["promise"], m["kept"]) for m in out["marks"]])
        self.assertEqual({"a table"}, {row["table"] for row in out["rows"]})
        self.assertEqual([0, 0, 0, 4], [row["failed"] for row in out["rows"]])
        self.assertRegex(said, r"bench: 1 of 3 marks kept\n$")

    def test_a_sentence_is_kept_when_all_of_its_marks_are(self):
        said, out = self.summary([self.mark("T6", True), self.mark("T6", False), self.mark("T9", True)])
        self.assertRegex(said, r"(?m)^  T6 +MISSED")
        self.assertRegex(said, r"(?m)^  T9 +kept")
        self.assertRegex(said, "bench: 1 of 2 marks kept")
        self.assertEqual((1, 2), (out["kept"], out["count"]))

    def test_every_mark_has_a_sentence_and_every_sentence_is_measured(self):
        text = ""
        for name in ("run.sh", "agent.sh", "first.c"):
            with open(os.path.join(BENCH, name)) as f:
                text += f.read()
        text = text.replace("\\t", " ")
        used = set(re.findall(r"\b([A-Za-z0-9-]+):(?:ms|mib|rate|p50|p99|cpu)[<>]=", text))
        used |= set(re.findall(r"\bjudge ([a-zA-Z0-9-]+) ", text)) | set(re.findall(r'\.promise = "([a-z]+)"', text))
        sys.path.insert(0, BENCH)
        from summary import SENTENCES
        self.assertEqual(set(SENTENCES), used)

    def peers(self, rows):
        return [{"table": "peers: get one of %d, whole process" % size, "row": name, "base": "ours", "failed": failed, "ms": values}
                for size, table in rows.items() for name, values, failed in table]

    def test_the_chart_shows_the_medians(self):
        many = [("empty process", [1, 1, 2], 0), ("pixelvault, through its agent", [2, 3, 4], 0), ("slow & <odd>", [600, 1234, 9000], 0),
                ("broken", [1, 1, 1], 2)]
        few = [(name, [v / 10 for v in values], failed) for name, values, failed in many]
        said, _ = self.summary(self.peers({10: few, 1000: many}))
        self.assertRegex(said, r"slow & <odd> +1234 +411 \(300-2250\) +1234 \(600-4500\)")
        self.assertRegex(said, r"broken .*FAILED RUNS: 2")
        self.python("chart.py", self.path("out.json"), self.path("chart.svg"))
        tree = xml.parse(self.path("chart.svg")).getroot()
        texts = [e.text for e in tree.iter("{http://www.w3.org/2000/svg}text")]
        self.assertIn("slow & <odd>", texts)
        self.assertIn("1,234", texts)
        self.assertIn("Get one of 1,000, whole process", texts)
        self.assertNotIn("broken", texts)
        bars = [(e.get("class"), float(e.get("width"))) for e in tree.iter("{http://www.w3.org/2000/svg}rect")][1:]
        self.assertEqual(["floor", "ours", "peer"], [name for name, _ in bars])
        self.assertEqual(sorted(width for _, width in bars), [width for _, width in bars])

    def test_without_peers_there_is_no_chart(self):
        self.summary([self.mark("T6", True)])
        self.python("chart.py", self.path("out.json"), self.path("chart.svg"))
        self.assertFalse(os.path.exists(self.path("chart.svg")))


class SoakFigures(unittest.TestCase):
    def series(self, of, seconds=3600):
        dice = random.Random(7)
        return [(t, of(t, dice)) for t in range(seconds)]

    def test_what_leaks_is_seen(self):
        self.assertFalse(judge("memory", self.series(lambda t, d: 9000 + t * 0.5 + d.random() * 300))["ok"])
        self.assertFalse(judge("descriptors", self.series(lambda t, d: 30 + t // 600 + d.randrange(3)))["ok"])
        self.assertFalse(judge("p99", self.series(lambda t, d: 4 + t / 300 + d.expovariate(1)))["ok"])

    def test_what_only_trembles_is_not(self):
        self.assertTrue(judge("memory", self.series(lambda t, d: 9000 + (t > 300) * 4000 + d.random() * 900))["ok"])
        self.assertTrue(judge("descriptors", self.series(lambda t, d: 30 + d.randrange(9)))["ok"])
        self.assertTrue(judge("p99", self.series(lambda t, d: 4 + d.expovariate(0.5) + (d.random() < 0.02) * 900))["ok"])

    def test_too_little_is_no_proof(self):
        self.assertFalse(judge("memory", [(1, 1), (2, 1)])["ok"])


if __name__ == "__main__":
    unittest.main()
