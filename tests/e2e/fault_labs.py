"""More places for faults than fault_kit.Lab has: verbs that ask TikTok, with the courier's own allocations and calls among the
points, and the making of a vault."""

import itertools
import os
import shutil

from fault_kit import Broken, Lab, Place, Verb

NOBODY_KNOWS = {9, 16}  # a courier that fails is no verdict
ONLINE = [Verb("check", "check {a}"), Verb("check-all", "check"), Verb("put-checked", "put {a} --test-code T1", "third"),
          Verb("rollback", "rollback {a}")]
INIT = Verb("init", "init --key-file {new_key} --no-recovery")


class OnlineLab(Lab):
    """TikTok knows all tokens of the vault."""
    uses_emulator = True
    check = {"rate": "1000", "confirm-delay": "1s"}

    def build(self):
        super().build()
        pixels = (self.a, self.b, self.c, self.gone, self.fresh_pixel, self.later)
        for pixel in pixels:
            self.emu.pixel(pixel)
        for token in self.all_tokens():
            self.emu.token(token, *pixels)
        for place in self.places:
            place.env["OOM_ALONG"] = "1"

    def codes_of(self, part, verb, r):
        return super().codes_of(part, verb, r) | NOBODY_KNOWS

    def states_of(self, verb, r, old, new):
        """A token that is put waits while TikTok is asked; a verdict that could not be stored counts for its check only."""
        if verb.name == "put-checked":
            pixels = [(pixel, labels, verdict, [(stage, 3 if (pixel, stage) == (self.a, "pending") else n) for stage, n in stages])
                      for pixel, labels, verdict, stages in old[0]]
            return super().states_of(verb, r, old, new) + ([(pixels, old[1])] if r.rc else [])
        if verb.name == "check-all" and r.rc:  # each verdict by itself
            mixed = itertools.product(*zip(old[0], new[0]))
            return [(list(pixels), old[1]) for pixels in mixed]
        is_told = "could not be stored" in r.err
        return [old, new] if is_told else super().states_of(verb, r, old, new)


class InitPlace(Place):
    def __init__(self, lab, name):
        super().__init__(lab, name)
        self.env["PIXELVAULT_KEY_FILE"] = os.path.join(self.dir, "work", "new-key")

    def fresh(self):
        if self.is_fresh:
            return
        self.fill(())
        work = os.path.join(self.dir, "work")
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(self.lab.path("work"), work)
        self.is_fresh = True


class InitLab(Lab):
    """A vault is made where there is none: it is whole, or there is none and the next one succeeds."""

    def build(self):
        super().build()
        self.places = [InitPlace(self, "i%d" % n) for n in range(len(self.places))]

    def prepare(self, verb):
        place = self.places[0]
        place.is_fresh = False
        place.fresh()
        r = place.clean(verb)
        place.is_fresh = False
        if r.rc:
            raise AssertionError("init does not work without any fault: %s" % r.err)

    def judge_state(self, place, verb, r):
        place.is_fresh = False
        key = place.words(verb)[2]
        if os.path.exists(key) and os.path.getsize(key) != 32:
            raise Broken("a key file of %d bytes" % os.path.getsize(key))
        again = place.clean(verb)
        if again.rc not in ((8,) if r.rc == 0 else (0, 8)):
            raise Broken("once more: %d %s" % (again.rc, again.err))
        place.look("verify")
        place.look("audit", "verify")
        done = place.run("put", self.a, "--no-check", stdin=self.first.encode())
        if done.rc or place.look("get", self.a).out.decode() != self.first:
            raise Broken("the vault takes no token: %d %s" % (done.rc, done.err))
        strays = place.strays()
        if strays and not any(h.startswith("unlink") for h in r.hits):
            raise Broken("stray: %s" % strays)
