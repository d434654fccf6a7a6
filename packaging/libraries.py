#!/usr/bin/env python3
"""The libraries that the programs are made of.

    libraries.py check              are they as new as those that pixelvault was written and tested with? (make, once)
    libraries.py list FOLDER        which of them are in the programs of that folder, and how
    libraries.py sbom FOLDER        the same as a bill of materials, SPDX 2.3 as JSON (make sbom)

What is inside is read from the programs themselves: a library that stands in their list of needed ones, or whose functions
are defined in them, linked from an archive. An archive's fixes do not reach a program that is built already: when Debian
mends one of these, build and install again.

SOURCE_DATE_EPOCH is the time that the bill bears, else that of the last commit, so that the same source gives the same bill."""

import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = ("vault", "vault-whole", "vault-agent")


class Library:
    """minimum: Debian 12's, as no older one was ever tried, or the first that has what is used. soname as it is needed; defines: a function that is of it."""

    def __init__(self, name, minimum, soname, defines, licence, home, why):
        self.name, self.minimum, self.soname, self.defines, self.licence, self.home, self.why = \
            name, minimum, soname, defines, licence, home, why


LIBRARIES = (
    Library("libsodium", "1.0.18", "libsodium.so", "sodium_|crypto_", "ISC", "https://libsodium.org", "Debian 12's"),
    Library("sqlite3", "3.40.1", "libsqlite3.so", "sqlite3_", "blessing", "https://sqlite.org", "Debian 12's"),
    Library("inih", "55", "libinih.so", "ini_parse", "BSD-3-Clause", "https://github.com/benhoyt/inih", "Debian 12's"),
    Library("libcurl", "7.85.0", "libcurl.so", "curl_", "curl", "https://curl.se", "CURLOPT_PROTOCOLS_STR"),
    Library("libcjson", "1.7.15", "libcjson.so", "cJSON_", "MIT", "https://github.com/DaveGamble/cJSON", "Debian 12's"),
    Library("libmicrohttpd", "0.9.75", "libmicrohttpd.so", "MHD_", "LGPL-2.1-or-later", "https://www.gnu.org/software/libmicrohttpd", "Debian 12's"),
    Library("libseccomp", "2.5.0", "libseccomp.so", "seccomp_", "LGPL-2.1-only", "https://github.com/seccomp/libseccomp", "SCMP_FLTATR_CTL_OPTIMIZE"),
)
C_LIBRARY = Library("glibc", None, "libc.so", None, "LGPL-2.1-or-later", "https://www.gnu.org/software/libc", None)
SMALL_C_LIBRARY = Library("musl", None, "libc.so", "__init_libc$", "MIT", "https://musl.libc.org", None)
OF_TOOLCHAIN = re.compile(r"(libc|libm|libpthread|libdl|librt|ld-linux.*|libgcc_s|libstdc\+\+|lib(a|l|t|ub)san)\.so")  # the last in test builds only


def give_up(*lines):
    sys.exit("libraries.py: " + "\n  ".join(lines))


def output(*words):
    try:
        done = subprocess.run(words, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


@functools.cache
def version_of(name):
    return output("pkg-config", "--modversion", name)


def numbers(version):
    return [int(n) for n in re.findall(r"\d+", version)]


def check():
    if not shutil.which("pkg-config"):
        give_up("pkg-config is not installed", "run: make deps")
    old = []
    for library in LIBRARIES:
        found = version_of(library.name)
        if not found:
            old.append("%s is not installed: at least %s is needed" % (library.name, library.minimum))
        elif numbers(found) < numbers(library.minimum):
            old.append("%s %s is too old: at least %s is needed (%s)" % (library.name, found, library.minimum, library.why))
    if old:
        give_up(*old, "run: make deps; Debian 12 has all of them")


# ---- what is in a program ----

class Part:
    """A library in some of the programs."""

    def __init__(self, library, version, how, package):
        self.library, self.version, self.how, self.package = library, version, how, package
        self.programs = []


def needed_by(path):
    return re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "-Wd", path))


def defined_in(path):
    return re.findall(r" FUNC +\w+ +\w+ +\d+ +([A-Za-z_]\w*)", output("readelf", "-Ws", path))


@functools.cache
def owner_of(path):
    """(name, version, architecture) of the distribution's package, or None. It may know the file by its name without /usr."""
    for each in (path, path.replace("/usr/lib/", "/lib/", 1)):
        name = output("dpkg-query", "-S", each).rsplit(": ", 1)[0]
        words = output("dpkg-query", "-W", "-f", "${Package} ${Version} ${Architecture}", name).split() if name else []
        if len(words) == 3:
            return tuple(words)
    return None


def archive_of(library):
    path = output(os.environ.get("CC", "cc").split()[-1], "-print-file-name=%s.a" % library.soname[:-len(".so")])
    return os.path.realpath(path) if "/" in path else ""


def musl_folder():
    """Where musl-gcc takes it from, as the Makefile asks it."""
    try:
        said = subprocess.run(["musl-gcc", "-###", "-x", "c", "/dev/null", "-o", "/dev/null"], capture_output=True, text=True).stderr
    except OSError:
        return ""
    found = re.search(r"(/\S*)/Scrt1\.o", said)
    return found.group(1) if found else ""


def musl_version():
    """Its loader says it when it is started without a program."""
    loader = os.path.join(musl_folder(), "libc.so")
    try:
        said = subprocess.run([loader], capture_output=True, text=True).stderr
    except OSError as e:
        said = str(e)
    found = re.search(r"^Version (\S+)", said, re.M)
    if not found:
        give_up("%s does not say which version of musl it is of" % loader, "install musl-tools, or build without it: make MUSL_DIR=")
    return found.group(1)


def loaded_as(path):
    """soname: file, as the linker of this machine finds them."""
    return dict(re.findall(r"(\S+) => (/\S+)", output("ldd", path)))


def parts_of(folder):
    parts = {}

    def add(library, version, how, package, program):
        part = parts.setdefault((library.name, how), Part(library, version, how, package))
        part.programs.append(program)

    for program in PROGRAMS:
        path = os.path.join(folder, program)
        if not os.path.exists(path):
            give_up("there is no %s" % path, "run: make")
        files, defined = loaded_as(path), defined_in(path)
        if not defined:
            give_up("%s has no table of symbols: it cannot be told what was linked into it" % path, "make the bill before it is stripped")
        for soname in needed_by(path):
            library = next((l for l in LIBRARIES if soname.startswith(l.soname)), None)
            if not library and not OF_TOOLCHAIN.match(soname):
                give_up("%s needs %s, which is not in the list of libraries" % (path, soname), "add it to packaging/libraries.py")
            file = os.path.realpath(files.get(soname, ""))
            if library:
                add(library, version_of(library.name), "dynamic", owner_of(file), program)
            elif soname.startswith(C_LIBRARY.soname):
                add(C_LIBRARY, output("getconf", "GNU_LIBC_VERSION").split()[-1:][0], "dynamic", owner_of(file), program)
        for library in LIBRARIES:
            if any(re.match(library.defines, name) for name in defined):
                add(library, version_of(library.name), "static", owner_of(archive_of(library)), program)
        if any(re.match(SMALL_C_LIBRARY.defines, name) for name in defined):
            add(SMALL_C_LIBRARY, musl_version(), "static", owner_of(os.path.join(musl_folder(), "libc.a")), program)
    return [parts[key] for key in sorted(parts)]


def show(folder):
    for part in parts_of(folder):
        package = " (%s %s)" % part.package[:2] if part.package else ""
        print("%-14s %-8s %-8s in %s%s" % (part.library.name, part.version, part.how, ", ".join(part.programs), package))


# ---- the bill ----

def made_at():
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or output("git", "-C", ROOT, "log", "-1", "--format=%ct") or "0"
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(epoch)))


def our_version():
    with open(os.path.join(ROOT, "core", "version.h")) as f:
        return re.search(r'PIXELVAULT_VERSION "(.*)"', f.read()).group(1)


def package_of(identifier, name, version, licence, **more):
    return {"SPDXID": identifier, "name": name, "versionInfo": version, "downloadLocation": "NOASSERTION", "licenseConcluded": "NOASSERTION",
            "licenseDeclared": licence, "copyrightText": "NOASSERTION", **more}


def digest(path, kind):
    with open(path, "rb") as f:
        return hashlib.new(kind, f.read()).hexdigest()


def purl(package):
    """https://github.com/package-url/purl-spec: the distribution's package, by which its security notices name it."""
    name, version, architecture = (urllib.parse.quote(word, safe="") for word in package)
    with open("/etc/os-release") as f:
        distribution = re.search(r"^ID=\"?([\w.-]+)", f.read(), re.M).group(1)
    return "pkg:deb/%s/%s@%s?arch=%s" % (distribution, name, version, architecture)


def our_package(identifier, files):
    """Of what it contains, SPDX wants one code: the digest of their digests, in order."""
    digests = sorted(f["checksums"][0]["checksumValue"] for f in files)
    return package_of(identifier, "pixelvault", our_version(), "ISC", filesAnalyzed=True, packageVerificationCode={
        "packageVerificationCodeValue": hashlib.sha1("".join(digests).encode()).hexdigest()})


def library_package(identifier, part):
    package = package_of(identifier, part.library.name, part.version, part.library.licence, filesAnalyzed=False, homepage=part.library.home)
    if part.package:
        package["externalRefs"] = [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl(part.package)}]
    return package


def relation(a, kind, b):
    return {"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b}


def bill(folder):
    us, files, relations = "SPDXRef-Package-pixelvault", [], [relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Package-pixelvault")]
    for program in PROGRAMS:
        path = os.path.join(folder, program)
        files.append({"SPDXID": "SPDXRef-File-" + program, "fileName": "./" + program, "fileTypes": ["BINARY"],
                      "checksums": [{"algorithm": a.upper(), "checksumValue": digest(path, a)} for a in ("sha1", "sha256")],
                      "licenseConcluded": "NOASSERTION", "licenseInfoInFiles": ["NOASSERTION"], "copyrightText": "NOASSERTION"})
        relations.append(relation(us, "CONTAINS", "SPDXRef-File-" + program))
    packages = [our_package(us, files)]
    for part in parts_of(folder):
        identifier = "SPDXRef-Package-%s-%s" % (part.library.name, part.how)
        packages.append(library_package(identifier, part))
        for program in part.programs:
            relations.append(relation("SPDXRef-File-" + program, part.how.upper() + "_LINK", identifier))
    name = "pixelvault-" + our_version()
    code = hashlib.sha256(json.dumps([packages, files, relations]).encode()).hexdigest()
    return {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": name,
            "documentNamespace": "https://spdx.org/spdxdocs/%s-%s" % (name, code),
            "creationInfo": {"created": made_at(), "creators": ["Tool: libraries.py-" + our_version()]},
            "packages": packages, "files": files, "relationships": relations}


def main():
    words = sys.argv[1:]
    if words == ["check"]:
        check()
    elif len(words) == 2 and words[0] == "list":
        show(words[1])
    elif len(words) == 2 and words[0] == "sbom":
        print(json.dumps(bill(words[1]), indent=2))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
