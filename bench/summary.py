#!/usr/bin/env python3
"""bench/summary.py RESULTS OUT: what the parts of `make bench` measured (lines of JSON), as one file OUT, as a table of
the peers and as a list of the marks. A mark has a sentence here; it is kept when all that was measured for it is.

Exits 0 when marks are missed: that they are is a figure, and it is printed."""

import json
import statistics
import sys
import textwrap

SENTENCES = {
    "T1": "the agent gives 8 clients, an audit line each, at least 0.75 of the answers a second of a bare echo; p99 at most 1.3 of its",
    "T2": "its processor time a token is at most 1.6 of the echo's; p50 of one client on the same processor at most 1.35",
    "T3": "`get` through the agent takes at most 1.25 of an empty process, and 2 MiB",
    "T4": "`run` adds at most an empty process to the program's own time",
    "T5": "`get` without an agent takes at most 3 empty processes with a key file, 1.05 of the bare work with a passphrase",
    "T6": "nothing grows with the number of Pixels: get 1.15 without an agent, 1.1 through one, its processor time 1.3, put 1.2",
    "T7": "a durable put takes at most 1.3 of the bare writes and syncs in it (1.5 as a whole process); 8 writers do 3 times as many as one",
    "T8": "a reader's p99 while all else goes on is at most 3 times its own alone",
    "T9": "`status` takes at most 1.5 of a bare program that opens the same rows; 12 MiB for 10,000",
    "T10": "a sweep takes at most 1.25 of a bare curl_multi loop, or of the waiting for slow answers; 32 MiB",
    "T11": "opening with a passphrase takes at most 1.1 of one bare crypto_pwhash",
    "T12": "the agent holds at most 8 MiB and 1.5 KiB a Pixel, libraries aside",
    "T13": "the file is at most 1.35 of a plain one with rows as long",
    "run": "`run` without an agent takes at most 4 empty processes",
    "rotate-key": "new keys for 10,000 Pixels take at most 3 s",
    "import": "10,000 rows are imported in one commit in at most 2 s",
    "scan": "a scan reads at least 1 GB a minute",
    "start": "from starting the agent to its first token: at most 1 s, 60 s beyond 10,000 Pixels",
}


def read(path):
    """{"about", "rows", "marks", "missing"}"""
    found = {"about": {}, "rows": [], "marks": [], "missing": []}
    with open(path) as f:
        for line in f:
            entry = json.loads(line)
            kind = "marks" if "promise" in entry else "rows" if "row" in entry else "missing" if "missing" in entry else None
            if kind:
                found[kind].append(entry)
            else:
                found["about"].update(entry)
    return found


def ratio(row, base, metric):
    """(median, lowest, highest) over the rounds of both"""
    all_of = [a / b for a, b in zip(row[metric], base[metric]) if b]
    return (statistics.median(all_of), min(all_of), max(all_of)) if all_of else None


def number(value):
    return "%.0f" % value if value >= 99.95 else "%.1f" % value if value >= 9.995 else "%.2f" % value


def span(three):
    return "%s (%s-%s)" % tuple(map(number, three))


def peer_tables(results):
    """Of each table whose rows have peers in it: (title, metric, [(label, value, to ours, to the floor)])"""
    titles = {}
    for row in results["rows"]:
        if row["table"].startswith("peers: "):
            titles.setdefault(row["table"], []).append(row)
    for title, rows in titles.items():
        metric = "ms" if "ms" in rows[0] else "rate"
        ours, floor = rows[1], rows[0]
        lines = [(row["row"], statistics.median(row[metric]), ratio(row, ours, metric), ratio(row, floor, metric), row)
                 for row in rows]
        yield title[len("peers: "):], metric, lines


def print_peers(results):
    for title, metric, lines in peer_tables(results):
        print("\n%s" % title)
        print("  %-38s %12s  %-24s %s" % ("", "ms" if metric == "ms" else "a second", "ratio to ours (spread)", "to the floor"))
        for label, value, ours, floor, row in sorted(lines, key=lambda line: line[1], reverse=metric != "ms"):
            print("  %-38s %12s  %-24s %s%s" % (label, number(value), span(ours), span(floor),
                                               "  FAILED RUNS: %d" % row["failed"] if row["failed"] else ""))
    for entry in results["missing"]:
        print("  not measured: %s: %s" % (entry["missing"], entry["why"]))


def print_marks(results):
    """How many sentences are kept, of how many."""
    kept = count = 0
    print("\nthe marks")
    for promise, sentence in SENTENCES.items():
        marks = [m for m in results["marks"] if m["promise"] == promise]
        if not marks:
            continue
        count += 1
        is_kept = all(m["kept"] for m in marks)
        kept += is_kept
        lines = textwrap.wrap(sentence, 104)
        print("  %-10s %-6s  %s" % (promise, "kept" if is_kept else "MISSED", "\n                     ".join(lines)))
        for m in marks:
            what = m["what"] + (", " + m["metric"] if m["metric"] else "") + (" of " + m["base"] if m["base"] else "")
            print("                     %-74s %s, %s %s: %s" % (what, span((m["value"], m["low"], m["high"])), m["sign"],
                                                          number(m["limit"]), "kept" if m["kept"] else "MISSED"))
    skipped = [promise for promise in SENTENCES if not any(m["promise"] == promise for m in results["marks"])]
    if skipped and count:
        print("  not measured in this run: " + ", ".join(skipped))
    return kept, count


def main():
    results = read(sys.argv[1])
    print_peers(results)
    kept, count = print_marks(results) if results["marks"] else (0, 0)
    results["kept"], results["count"] = kept, count
    with open(sys.argv[2], "w") as f:
        json.dump(results, f, indent=1)
    print("\n  all figures: " + sys.argv[2])
    if count:
        print("bench: %d of %d marks kept" % (kept, count))


if __name__ == "__main__":
    main()
