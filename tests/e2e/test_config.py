"""The configuration: strict, with file, line and the nearest valid name; the order of settings."""

import os
import re
import unittest

from harness import Case, cases, new_pixel, say, spread


@spread
class Strict(Case):
    uses_emulator = False

    def refused(self, text, *says, line=None):
        self.write(self.config, text if isinstance(text, bytes) else text.encode())
        r = self.refuses(13, "list", says=[re.escape(self.config) + (":%d" % line if line else "")] + list(says))
        e = self.error(13, "config", "check")
        self.assertIn(self.config, e["message"])
        r = self.agent("--once", rc=13)
        self.assertIn(self.config, r.err)

    @cases(
        key=("[check]\nintervall = 6h\n", "interval", 2),
        section=("[chek]\ninterval = 6h\n", "check", 1),
        key_of_another_section=("[check]\n\nbase-url = https://localhost/x\n", "base-url", 3),
        key_outside=("interval = 6h\n", "", 1),
        no_value=("[check]\ninterval\n", "", 2),
        twice=("[check]\ninterval = 6h\nrate = 5\ninterval = 7h\n", "interval|twice", 4),
        twice_in_a_second_section=("[check]\ninterval = 6h\n[vault]\n[check]\ninterval = 7h\n", "interval|twice", 4),
        no_unit=("[check]\ninterval = 6\n", "interval", 2),
        unknown_unit=("[check]\ninterval = 6w\n", "interval", 2),
        fraction=("[check]\ninterval = 1.5h\n", "interval", 2),
        negative=("[check]\ninterval = -6h\n", "interval", 2),
        interval_zero=("[check]\ninterval = 0\n", "interval", 2),
        interval_zero_seconds=("[check]\ninterval = 0s\n", "interval", 2),
        interval_long=("[check]\ninterval = 91d\n", "interval", 2),
        interval_huge=("[check]\ninterval = 99999999999999999999d\n", "interval", 2),
        confirm_delay_long=("[check]\nconfirm-delay = 2d\n", "confirm-delay", 2),
        rate_zero=("[check]\nrate = 0\n", "rate", 2),
        rate_high=("[check]\nrate = 100001\n", "rate", 2),
        rate_word=("[check]\nrate = fast\n", "rate", 2),
        in_flight_zero=("[check]\nin-flight = 0\n", "in-flight", 2),
        in_flight_high=("[check]\nin-flight = 257\n", "in-flight", 2),
        probe=("[check]\nprobe = wet\n", "probe", 2),
        warning=("[check]\nexpiry-warning = 30d soon\n", "expiry-warning", 2),
        plain_http=("[tiktok]\nbase-url = http://localhost/open_api/v1.3\n", "base-url|https", 2),
        final_slash=("[tiktok]\nbase-url = https://localhost/open_api/v1.3/\n", "base-url|slash", 2),
        no_url=("[tiktok]\nbase-url = localhost\n", "base-url|https", 2),
        url_with_a_user=("[tiktok]\nbase-url = https://u:p@localhost/v\n", "base-url", 2),
        url_with_a_query=("[tiktok]\nbase-url = https://localhost/v?x=1\n", "base-url", 2),
        audit=("[vault]\naudit-reads = sometimes\n", "audit-reads", 2),
        boolean=("[agent]\nrequire-locked-memory = maybe\n", "require-locked-memory", 2),
        long_line=("[vault]\npath = /" + "x" * 190 + "\n", "long|bytes", 2),
        indented=("[check]\n  interval = 6h\n", "", 2),
        comment_behind_a_value=("[check]\ninterval = 6h ; six\n", "", 2),
        hash_behind_a_value=("[check]\ninterval = 6h # six\n", "", 2),
        carriage_return=("[check]\r\ninterval = 6h\r\n", "", 1),
        control=("[check]\ninterval = 6h\x01\n", "", 2),
        nul=("[check]\ninter\0val = 6h\n", "", 2),
        not_utf8=(b"[check]\ninterval = 6h\n# \xff\xfe\n", "", 3),
        byte_order_mark=("\ufeff[check]\ninterval = 6h\n", "", 1),
        broken_section=("[check\ninterval = 6h\n", "", 1),
        secret_named_key=("[tiktok]\ntoken = x\n", "", 2),
    )
    def test_refused(self, text, says, line):
        self.refused(text, *([says] if says else []), line=line)

    def test_the_edges_are_taken(self):
        for text in ("[check]\ninterval = 1s\nconfirm-delay = 0s\nrate = 1\nin-flight = 1\n",
                     "[check]\ninterval = 90d\nconfirm-delay = 1d\nrate = 100000\nin-flight = 256\n",
                     "[check]\nconfirm-delay = 0\nexpiry-warning = 30d 14d 7d 3d 1d\nmax-age = 0\nprobe = dry\n",
                     "[tiktok]\nbase-url = https://localhost:8443/open_api/v1.3\n",
                     "; comment\n# comment\n\n[check]\n",
                     "[alert ops]\ntype = webhook\nurl = https://localhost/x\n[alert mail]\ntype = exec\ncommand = /bin/true\n", ""):
            self.write(self.config, "[vault]\npath = %s\nstate-dir = %s\nkey-file = %s\n" % (self.file, self.state, self.key) + text)
            self.vault("config", "check")
            self.vault("list")

    def test_too_large(self):
        self.refused("# " + "x" * 100 + "\n" + ("# " + "x" * 100 + "\n") * 700)

    def test_a_long_line_is_not_cut_into_two(self):
        tail = "[tiktok]\nbase-url = https://localhost/v\n"
        self.refused("[vault]\nkey-file = /" + "x" * 250 + "\n" + tail, line=2)

    def test_missing(self):
        os.remove(self.config)
        self.refuses(13, "list", says=re.escape(self.config))

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_a_file_that_others_may_write_or_own_is_refused(self):
        for bits in (0o620, 0o602, 0o666):
            os.chmod(self.config, bits)
            self.refuses(13, "list", says=re.escape(self.config))
        os.chmod(self.config, 0o644)
        self.vault("list")
        os.chown(self.config, 12345, 12345)
        self.refuses(13, "list")

    def test_a_folder_or_pipe_is_refused(self):
        os.remove(self.config)
        os.mkdir(self.config)
        self.refuses(13, "list")
        os.rmdir(self.config)
        os.mkfifo(self.config, 0o600)
        self.vault("list", rc=13, timeout=30)


class Order(Case):
    uses_emulator = False

    def test_show_names_what_holds(self):
        self.configure(check={"rate": 7, "in-flight": 3})
        out = self.vault("config", "show").out.decode()
        self.assertRegex(out, r"(?m)rate\s*=\s*7\b")
        self.assertRegex(out, r"(?m)in-flight\s*=\s*3\b")
        self.assertRegex(out, r"interval\s*=\s*6h")
        self.assertIn(self.file, out)
        self.vault("config", "show", "--json")

    def test_flag_over_environment_over_file(self):
        other = self.path("other", "vault.db")
        self.configure(vault={"path": self.path("nowhere", "vault.db")})
        self.vault("list")  # the environment names the vault
        self.vault("list", "--vault", other, rc=3)
        self.vault("list", env={"PIXELVAULT_VAULT": None}, rc=3)
        self.configure()
        self.vault("list", env={"PIXELVAULT_VAULT": None})

    def test_config_flag_over_environment(self):
        bad = self.write(self.path("bad.ini"), "[nonsense]\n")
        self.vault("list", "--config", bad, rc=13)
        self.vault("list", "--config", self.config, env={"PIXELVAULT_CONFIG": bad})

    def test_with_config_that_file_alone_is_read(self):
        user = self.path("home", ".config", "pixelvault")
        os.makedirs(user, 0o700)
        self.write(user + "/pixelvault.ini", "[nonsense]\n")
        self.vault("list", env={"XDG_CONFIG_HOME": self.path("home", ".config")})

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_the_user_configuration_is_read(self):
        home = self.path("user")
        os.chmod(self.dir, 0o755)
        os.makedirs(home + "/c/pixelvault", 0o700)
        for where, folders, _ in os.walk(home):
            os.chown(where, 12345, 12345)
        path = self.write(home + "/c/pixelvault/pixelvault.ini", "[check]\nrate = 17\n")
        os.chown(path, 12345, 12345)
        r = self.vault("config", "show", user=12345, group=12345, extra_groups=[], cwd="/",
                       env={"PIXELVAULT_CONFIG": None, "PIXELVAULT_VAULT": None, "HOME": home, "XDG_CONFIG_HOME": home + "/c"})
        self.assertRegex(r.out.decode(), r"rate\s*=\s*17\b", say(r))

    def test_the_environment_names_state_and_key(self):
        self.configure(vault={"state-dir": self.path("wrong"), "key-file": self.path("wrong-key")})
        self.vault("list", rc=4)
        self.vault("list", env={"PIXELVAULT_STATE": self.state, "PIXELVAULT_KEY_FILE": self.key})

    def test_foreign_VAULT_variables_mean_nothing(self):
        self.vault("list", env={"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": "x", "VAULT_PATH": "/nowhere", "VAULT_FORMAT": "table"})

    def test_an_empty_path_in_the_environment_is_refused_or_ignored_never_obeyed(self):
        for name in ("PIXELVAULT_KEY_FILE", "PIXELVAULT_STATE", "PIXELVAULT_VAULT", "PIXELVAULT_CONFIG"):
            r = self.vault("list", env={name: ""}, rc=None)
            self.assertIn(r.rc, (0, 3, 4, 13), say(r))


if __name__ == "__main__":
    unittest.main()
