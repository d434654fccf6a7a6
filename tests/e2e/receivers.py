"""What alerts are sent to, on loopback and with real TLS: an HTTPS server that keeps every request and answers as it is
told, a mail server with STARTTLS and AUTH, a log. Written with sockets, so that they can also misbehave."""

import base64
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

_folder = None


def authority():
    """Certificates for localhost: good.pem (its own authority is ca.pem), other.pem (for another host, of the same
    authority), stranger.pem (for localhost, of nobody). Each file holds key and certificate."""
    global _folder
    if _folder:
        return _folder
    if not shutil.which("openssl"):
        raise unittest.SkipTest("no openssl to make certificates with")
    _folder = tempfile.mkdtemp(prefix="receivers-")
    unittest.addModuleCleanup(_forget)
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]

    def run(*words):
        subprocess.run(["openssl", *words], cwd=_folder, check=True, capture_output=True)

    run("req", "-x509", *new_key, "-subj", "/CN=Test authority", "-keyout", "ca.key", "-out", "ca.pem")
    for name, host in (("good", "localhost"), ("other", "elsewhere.example")):
        run("req", *new_key, "-subj", "/CN=" + host, "-keyout", name + ".key", "-out", name + ".csr")
        with open(os.path.join(_folder, name + ".ext"), "w") as f:
            f.write("subjectAltName=DNS:" + host + "\n")
        run("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
            "-extfile", name + ".ext", "-out", name + ".crt")
    run("req", "-x509", *new_key, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
        "stranger.key", "-out", "stranger.crt")
    for name in ("good", "other", "stranger"):
        with open(os.path.join(_folder, name + ".pem"), "w") as f:
            for end in (".key", ".crt"):
                with open(os.path.join(_folder, name + end)) as part:
                    f.write(part.read())
    return _folder


def _forget():
    global _folder
    shutil.rmtree(_folder, ignore_errors=True)
    _folder = None


def ca_file():
    return os.path.join(authority(), "ca.pem")


def tls_context(name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(authority(), name + ".pem"))
    return context


class Server:
    """Accepts on a port of its own; handle(connection) in a thread for each."""

    def __init__(self):
        self.seen = 0  # connections
        self.raw = b""  # all that came in clear, before any TLS
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.is_open = True
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.seen += 1
            threading.Thread(target=self.guard, args=(connection,), daemon=True).start()

    def guard(self, connection):
        connection.settimeout(60)
        try:
            self.handle(connection)
        except (OSError, ssl.SSLError, EOFError):
            pass
        finally:
            connection.close()

    def close(self):
        self.is_open = False
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Lines:
    """Lines and counted bytes from a socket."""

    def __init__(self, connection):
        self.connection = connection
        self.left = b""

    def more(self):
        data = self.connection.recv(65536)
        if not data:
            raise EOFError
        self.left += data

    def line(self):
        while b"\n" not in self.left:
            self.more()
        line, self.left = self.left.split(b"\n", 1)
        return line.rstrip(b"\r")

    def exactly(self, count):
        while len(self.left) < count:
            self.more()
        data, self.left = self.left[:count], self.left[count:]
        return data


class Request:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body


class Https(Server):
    """`requests` holds what came. `status`, `head` and `body` say what is answered; `mode`: "answer", "hang" (the request
    is read, nothing said), "cut" (closed in the middle of a head), "head" (all of a head, and then nothing), "huge" (a body
    without end)."""

    def __init__(self, certificate="good"):
        self.requests = []
        self.status, self.head, self.body, self.mode = "200 OK", "", b"ok", "answer"
        self.context = tls_context(certificate)
        super().__init__()

    def url(self, path="/"):
        return "https://localhost:%d%s" % (self.port, path)

    def handle(self, connection):
        with self.context.wrap_socket(connection, server_side=True) as tls:
            lines = Lines(tls)
            method, path, _ = lines.line().decode().split(" ")
            headers = {}
            while line := lines.line():
                name, value = line.decode().split(":", 1)
                headers[name.lower()] = value.strip()
            body = lines.exactly(int(headers.get("content-length", 0)))
            with self.lock:
                self.requests.append(Request(method, path, headers, body))
            self.answer(tls)

    def answer(self, tls):
        if self.mode == "hang":
            while self.is_open:
                time.sleep(0.05)
        elif self.mode == "head":
            tls.sendall(b"HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\n" % self.status.encode())
            while self.is_open:
                time.sleep(0.05)
        elif self.mode == "cut":
            tls.sendall(b"HTTP/1.1 20")
        elif self.mode == "huge":
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            while True:
                tls.sendall(b"x" * 65536)
        else:
            tls.sendall(b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (
                self.status.encode(), self.head.encode(), len(self.body), self.body))


class Smtp(Server):
    """A mail server. `mails` holds (from, [to], text, is_encrypted, user). `offers`: "starttls" or "nothing"; `refuse`:
    {"RCPT": "550 no", ...} answers such a command, or one that begins so, with that line; `user` and `password` are
    demanded when set. `mode`: "answer" or "hang"."""

    def __init__(self, certificate="good", user=None, password=None):
        self.mails, self.commands, self.refuse = [], [], {}
        self.offers, self.mode = "starttls", "answer"
        self.user, self.password = user, password
        self.context = tls_context(certificate)
        super().__init__()

    def url(self):
        return "smtp://localhost:%d" % self.port

    def handle(self, connection):
        if self.mode == "hang":
            while self.is_open:
                time.sleep(0.05)
        if self.serve(connection, False) == "STARTTLS":
            with self.context.wrap_socket(connection, server_side=True) as tls:
                self.serve(tls, True)

    def is_user(self, said):
        given = base64.b64decode(said).split(b"\0")
        return given[1:] == [self.user.encode(), self.password.encode()]

    def serve(self, connection, is_encrypted):
        def say(text):
            connection.sendall(text.encode() + b"\r\n")

        lines, sender, recipients, user = Lines(connection), None, [], None
        if not is_encrypted:
            say(self.refuse.get("CONNECT", "220 test mail server"))
        while True:
            line = lines.line().decode()
            command = line.split(" ")[0].upper()
            with self.lock:
                self.commands.append(line)
                if not is_encrypted:
                    self.raw += line.encode() + b"\n"
            refused = [answer for what, answer in self.refuse.items() if line.upper().startswith(what.upper())]
            if refused:
                say(refused[0])
            elif command == "EHLO":
                extra = [] if is_encrypted or self.offers == "nothing" else ["STARTTLS"]
                extra += ["AUTH PLAIN"] if self.user and (is_encrypted or self.offers == "nothing") else []
                words = ["localhost", *extra, "SIZE 1000000"]
                for i, word in enumerate(words):
                    say("250%s%s" % (" " if i + 1 == len(words) else "-", word))
            elif command == "STARTTLS" and not is_encrypted:
                say("220 go on")
                return "STARTTLS"
            elif command == "AUTH":
                say("334 ")
                user = self.user if self.is_user(lines.line()) else None
                say("235 welcome" if user else "535 no")
            elif command == "MAIL":
                sender = line
                say("250 ok" if not self.user or user else "530 who are you?")
            elif command == "RCPT":
                recipients.append(line)
                say("250 ok")
            elif command == "DATA":
                say("354 go on")
                text = []
                while (line := lines.line()) != b".":
                    text.append(line[1:] if line.startswith(b".") else line)
                answer = self.refuse.get("TEXT", "250 taken")
                if answer.startswith("2"):
                    with self.lock:
                        self.mails.append((sender, recipients, b"\r\n".join(text) + b"\r\n", is_encrypted, user))
                say(answer)
            elif command == "QUIT":
                say("221 bye")
                return None
            else:
                say("502 what?")


class Log:
    """A datagram socket such as /dev/log."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.settimeout(60)

    def take(self, count):
        return [self.socket.recv(65536).decode() for _ in range(count)]

    def close(self):
        self.socket.close()
