"""What `status` writes and how it sorts; how the page looks is test_board's."""

import os
import re
import stat
import time
import unittest

from harness import Case, new_pixel


def rows(page):
    return re.findall(rb"<details class=(.)><summary><b>[^<]*</b> <code>([^<]*)", page)


class Weights(Case):
    uses_emulator = False

    def order(self, *args):
        lines = self.vault("status", *args).out.decode().split("\n\n")[0].splitlines()[1:]
        return [line.split()[0] for line in lines]

    def stored_with(self, *weights):
        pixels = sorted(new_pixel() for _ in weights)
        for pixel, weight in zip(pixels, weights):
            self.put(pixel, self.token(), "--no-check", *([] if weight is None else ["--label", "weight=" + weight]))
        return pixels

    def test_of_equal_gravity_the_heavier_comes_first(self):
        a, b, c, d = self.stored_with("0.5", None, "0", "12.125")
        self.assertEqual([d, b, a, c], self.order())
        self.assertEqual([d, b, a, c], [p.decode() for _, p in rows(self.vault("status", "--html", "-").out)])
        self.assertEqual([a, b, c, d], [p["pixel"] for p in self.json("status")["pixels"]], "JSON stays in order of code")

    def test_gravity_and_weight_are_multiplied(self):
        unchecked, due = self.stored_with("20", None)
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3 * 86400))
        self.put(due, self.token(), "--no-check", "--expires", soon)
        self.assertEqual([unchecked, due], self.order())
        self.vault("label", due, "weight=2.001")
        self.assertEqual([due, unchecked], self.order())

    def test_what_is_no_weight_counts_as_one_and_is_said(self):
        pixels = self.stored_with("much", "1.0001", "-3", "1000001", "1e3", "2", None)
        r = self.vault("status", "--html", "-")
        self.assertEqual(pixels[5], rows(r.out)[0][1].decode())
        self.assertIn("5 labels weight cannot be used and count as 1", r.err)
        self.assertTrue(any(p in r.err for p in pixels[:5]), r.err)
        self.assertIn("hint: give a number from 0 to 1000000", r.err)
        self.assertEqual(5, r.out.count(b"<dt>Weight"))
        self.assertNotIn("weight", self.vault("status", "--json").err)
        self.vault("label", pixels[0], "weight=1000000")
        self.assertEqual(pixels[0], self.order()[0])


class PageFile(Case):
    def mode(self, path):
        return stat.S_IMODE(os.stat(path).st_mode)

    def test_a_new_file_is_ours_alone_and_holds_the_board_and_no_token(self):
        (good, first), (bad, second) = self.stored(), self.stored()
        self.emu.revoke(second)
        self.vault("check", bad, rc=10)
        path = self.path("board.html")
        self.assertEqual(b"", self.vault("status", "--html", path).out)
        page = self.read(path)
        self.assertEqual(0o600, self.mode(path))
        self.assertEqual([(b"b", bad.encode()), (b"g", good.encode())], rows(page))
        self.assertIn(b"incorrect or has been revoked", page)
        for token in (first, second):
            self.assertNotIn(token.encode(), page)
        self.assertEqual([], [n for n in os.listdir(self.dir) if n.startswith("board.html.")], "nothing is left beside it")

    def test_a_file_that_exists_keeps_its_mode_and_a_link_its_place(self):
        self.stored()
        real, link = self.path("www.html"), self.path("link.html")
        self.write(real, "old", 0o644)
        os.chmod(real, 0o644)
        os.symlink(real, link)
        self.vault("status", "--html", link)
        self.assertTrue(os.path.islink(link))
        self.assertEqual(0o644, self.mode(real))
        self.assertEqual(1, len(rows(self.read(real))))

    def test_what_cannot_be_written_is_said_and_nothing_is_lost(self):
        self.stored()
        os.mkdir(self.path("folder"))
        os.mkfifo(self.path("pipe"))
        for name in ("folder", "pipe"):
            self.refuses(2, "status", "--html", self.path(name), says=("no plain file",))
        self.refuses(17, "status", "--html", self.path("missing", "board.html"))
        self.assertIn("--html", self.error(2, "status", "--html", self.path("x.html"))["message"])
        self.assertFalse(os.path.exists(self.path("x.html")))

    def test_a_place_that_cannot_be_looked_at_is_told(self):
        self.refuses(2, "status", "--html", self.path("pixelvault.ini", "board.html"))

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_a_page_of_somebody_elses_stays_theirs(self):
        path = self.write(self.path("board.html"), "old", 0o640)
        for uid, gid in ((4003, 0), (0, 4003), (4003, 4003)):
            os.chown(path, uid, gid)
            self.vault("status", "--html", path)
            st = os.stat(path)
            self.assertEqual((uid, gid, 0o640), (st.st_uid, st.st_gid, self.mode(path)))
            self.assertIn(b"No Pixels are stored", self.read(path))

    def test_a_person_is_told_that_it_was_written(self):
        for said in (r"\b0 Pixels\b", r"\b1 Pixel\b", r"\b2 Pixels\b"):
            t = self.terminal("status", "--html", self.path("board.html"))
            self.assertEqual(0, t.wait(), t.text())
            self.assertRegex(t.text(), said)
            self.stored()

    def test_the_boards_address_is_told_where_there_is_one(self):
        self.refuses(2, "status", new_pixel(), "--url")
        self.refuses(2, "status", "-l", "a=b", "--url")
        self.refuses(13, "status", "--url")

    def test_it_shows_the_pixels_that_were_chosen(self):
        (a, _), (b, _) = self.stored(), self.stored()
        self.vault("label", b, "shop=oslo")
        self.assertEqual([b.encode()], [p for _, p in rows(self.vault("status", "--html", "-", "-l", "shop=oslo").out)])
        self.assertEqual([a.encode()], [p for _, p in rows(self.vault("status", a, "--html", "-").out)])
        self.refuses(3, "status", new_pixel(), "--html", self.path("x.html"))
        self.assertFalse(os.path.exists(self.path("x.html")))

    def test_an_empty_vault_has_a_page_too(self):
        self.assertIn(b"No Pixels are stored", self.vault("status", "--html", "-").out)


if __name__ == "__main__":
    unittest.main()
