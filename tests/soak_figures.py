"""What a soak measured, judged: does a line through it rise? Used by tests/soak.py.

Each series is cut into at most 60 pieces of equal time; the first fifth is left out (caches fill), each piece counts with
its median, and the slope is the median of the slopes between all pairs of pieces (Theil and Sen), so that a few odd seconds of
a busy machine do not tilt it. Drift is that slope over the time that was looked at. It may be at most:

    memory       5 % of the median, or 1 MiB where that is more
    descriptors  1
    p99          half of the median, or 5 ms where that is more"""

import itertools
import statistics

PIECES, LEFT_OUT = 60, 0.2
MIB = 1024  # memory is in KiB


def limit_of(kind, median):
    return {"memory": max(0.05 * median, MIB), "descriptors": 1, "p99": max(0.5 * median, 5)}[kind]


def pieces_of(series):
    """[(moment, median)] of a series of (moment, value)"""
    first, last = series[0][0], series[-1][0]
    first += (last - first) * LEFT_OUT
    length = max(1e-9, (last - first) / PIECES)
    found = {}
    for moment, value in series:
        if moment >= first:
            found.setdefault(min(PIECES - 1, int((moment - first) / length)), []).append((moment, value))
    return [(statistics.median(m for m, _ in piece), statistics.median(v for _, v in piece)) for piece in found.values()]


def judge(kind, series):
    """{"median", "drift", "limit", "an_hour", "ok"}; a series too short to have a slope is not ok."""
    if len(series) < 10:
        return {"median": 0, "drift": 0, "limit": 0, "an_hour": 0, "ok": False}
    pieces = pieces_of(series)
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.combinations(pieces, 2) if b[0] > a[0]]
    slope = statistics.median(slopes) if slopes else 0
    median = statistics.median(v for _, v in pieces)
    drift, limit = slope * (pieces[-1][0] - pieces[0][0]), limit_of(kind, median)
    return {"median": median, "drift": drift, "limit": limit, "an_hour": slope * 3600, "ok": drift <= limit}
