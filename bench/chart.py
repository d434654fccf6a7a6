#!/usr/bin/env python3
"""bench/chart.py RESULTS.json OUT.svg: the tables of the peers as bars on a logarithmic scale, the larger number of values
as the bar and the smaller as a line across it. Without such tables in the results nothing is drawn."""

import json
import math
import re
import sys
from xml.sax.saxutils import escape

from summary import number, peer_tables

WIDTH, LEFT, RIGHT, BAR, GAP = 860, 290, 96, 18, 8
STYLE = """
  text { font: 14px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 16px } .small { font-size: 12px; fill: #59636e }
  .page { fill: #ffffff } .peer { fill: #8c9bab } .ours { fill: #cf4a0c } .floor { fill: #c3ccd5 }
  .grid { stroke: #d8dee4 } .few { stroke: #1f2328; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9aa4af } .page { fill: #0d1117 } .peer { fill: #66788a } .ours { fill: #f0702c }
    .floor { fill: #3d4752 } .grid { stroke: #2a313a } .few { stroke: #e6edf3 }
  }
"""


def panels(results):
    """[(title, unit, [(label, kind, value, value with fewer values stored or None)])], one for each kind of work"""
    found = {}
    for title, metric, lines in peer_tables(results):
        if "too slow" in title:
            continue
        size = int(re.search(r"(?<![\w])(\d+)(?= values|,|$)", title).group(1))
        kind = re.sub(r"\b%d\b" % size, "{n}", title)
        values = {line[0]: line[1] for line in lines if not line[4]["failed"]}
        found.setdefault(kind, {"metric": metric, "sizes": {}})["sizes"][size] = values
    for kind, panel in found.items():
        many, few = max(panel["sizes"]), min(panel["sizes"])
        bars = []
        for at, (label, value) in enumerate(panel["sizes"][many].items()):
            name = "floor" if at == 0 else "ours" if label.startswith("pixelvault") else "peer"
            bars.append((label, name, value, panel["sizes"][few].get(label) if few != many else None))
        is_time = panel["metric"] == "ms"
        bars.sort(key=lambda bar: bar[2], reverse=not is_time)
        unit = "ms, shorter is better" if is_time else "a second, longer is better"
        yield kind.replace("{n}", format(many, ",")), unit, bars, few if few != many else None


def draw_panel(top, title, unit, bars, few):
    """(lines of SVG, the next top)"""
    low = math.floor(min(math.log10(v) for bar in bars for v in bar[2:] if v))
    high = max(low + 1, max(math.log10(v) for bar in bars for v in bar[2:] if v))

    def x(value):
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(value) - low) / (high - low)

    bottom = top + 44 + len(bars) * (BAR + GAP)
    out = ['<text class="title" x="16" y="%d">%s</text>' % (top + 18, escape(title[0].upper() + title[1:])),
           '<text class="small" x="16" y="%d">%s, logarithmic%s</text>' % (
               top + 35, unit, "; the line across a bar: with %s stored" % format(few, ",") if few else "")]
    for power in range(low, math.floor(high) + 1):
        out.append('<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>' % (x(10 ** power), x(10 ** power), top + 42, bottom))
    for i, (label, kind, value, other) in enumerate(bars):
        y = top + 44 + i * (BAR + GAP)
        out.append('<text x="%d" y="%d" text-anchor="end">%s</text>' % (LEFT - 8, y + 14, escape(label)))
        out.append('<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>' % (kind, LEFT, y, max(2, x(value) - LEFT), BAR))
        ends = [x(value)]
        if other:
            ends.append(x(other))
            out.append('<line class="few" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>' % (x(other), x(other), y - 1, y + BAR + 1))
        text = format(round(value), ",") if value >= 99.95 else number(value)
        out.append('<text x="%.1f" y="%d">%s</text>' % (max(ends) + 6, y + 14, text))
    return out, bottom + 22


def draw(results):
    body, top = [], 12
    for panel in panels(results):
        lines, top = draw_panel(top, *panel)
        body += lines
    if not body:
        return None
    about = results["about"]
    body.append('<text class="small" x="16" y="%d">medians of interleaved rounds; %s, %s; ratios carry over to other machines, times do not</text>' % (
        top + 4, escape(about.get("machine", "")), escape(about.get("day", ""))))
    height = top + 20
    return '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">\n<title>%s</title>\n<style>%s</style>\n<rect class="page" width="%d" height="%d"/>\n%s\n</svg>\n' % (
        WIDTH, height, WIDTH, height, "pixelvault beside other keepers of secrets", STYLE, WIDTH, height, "\n".join(body))


def main():
    with open(sys.argv[1]) as f:
        picture = draw(json.load(f))
    if picture:
        with open(sys.argv[2], "w") as f:
            f.write(picture)
        print("  chart: " + sys.argv[2])


if __name__ == "__main__":
    main()
