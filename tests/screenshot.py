#!/usr/bin/env python3
"""Makes docs/board.png: the page of some Pixels that are made up, by the real code, in the real browser.

    tests/screenshot.py FILE"""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "e2e"))
import browser  # noqa: E402

MAKER = os.path.join(os.environ.get("BUILD", "build"), "tests", "page_maker")


def main():
    if not browser.PROGRAM:
        sys.exit("there is no chromium: sh packaging/deps.sh browser")
    chromium = browser.Browser()
    with tempfile.NamedTemporaryFile(suffix=".html") as f:
        subprocess.run([MAKER, "24", "7"], stdout=f, check=True)
        try:
            page = chromium.page()
            page.size(1000, 640)
            page.scheme("light")
            page.open("file://" + f.name)
            page.picture(sys.argv[1])
        finally:
            chromium.close()


if __name__ == "__main__":
    main()
