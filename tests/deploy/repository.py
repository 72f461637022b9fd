"""A signed apt repository of small packages, and an apt of one's own that asks it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).parents[2]
CONTACT = "mailto:somebody@example.org"
PUBLISH = ROOT / "deploy" / "apt" / "publish.sh"


def package(folder: Path, version: str, arch: str = "arm64", depends: str = "") -> Path:
    """Make a package that holds one file, its version."""
    tree = folder / f"tree-{version}-{arch}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: kaimen\nVersion: {version}\nArchitecture: {arch}\nSection: sound\n"
        "Priority: optional\nMaintainer: Kaimen <kaimen@localhost>\nDescription: a small one\n"
        + (f"Depends: {depends}\n" if depends else "")
    )
    (tree / "version").write_text(version)
    file = folder / f"kaimen_{version}_{arch}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(file)],
        check=True,
        capture_output=True,
    )
    return file


class Signer:
    """Whoever publishes: a folder of gpg's own, with a key."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self.environment = os.environ | {"GNUPGHOME": str(folder)}
        batch = ["gpg", "--batch", "--quiet", "--passphrase", ""]
        self._gpg(*batch, "--quick-generate-key", "Kaimen <kaimen@localhost>", "ed25519", "sign")
        said = self._gpg("gpg", "--batch", "--with-colons", "--list-secret-keys")
        self.key = next(line.split(":")[9] for line in said.splitlines() if line.startswith("fpr:"))

    def publish(self, folder: Path, url: str, *packages: Path) -> subprocess.CompletedProcess[str]:
        """Run publish.sh."""
        return subprocess.run(
            [str(PUBLISH), str(folder), url, *map(str, packages)],
            env=self.environment | {"KEY": self.key, "CONTACT": CONTACT},
            capture_output=True,
            text=True,
        )

    def end(self) -> None:
        """End gpg's own processes."""
        self._gpg("gpgconf", "--kill", "all")

    def _gpg(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Show a folder on loopback, and yield where."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Apt:
    """An apt with lists, sources and a dpkg of its own, which nobody else sees."""

    def __init__(self, folder: Path) -> None:
        self.sources = folder / "etc" / "kaimen.sources"
        for each in ("etc", "lists/partial", "cache/archives/partial", "none"):
            (folder / each).mkdir(parents=True)
        (folder / "status").touch()
        settings = {
            "Dir::Etc::sourcelist": self.sources,
            "Dir::Etc::sourceparts": folder / "none",
            "Dir::Etc::trusted": folder / "none",
            "Dir::Etc::trustedparts": folder / "none",
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": folder / "none",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": folder / "none",
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "APT::Architecture": "arm64",
            "APT::Architectures": "arm64",
            "APT::Sandbox::User": "root",
            "APT::Update::Error-Mode": "any",
            "Acquire::http::Proxy": "DIRECT",
        }
        self._options = [
            part for each in settings.items() for part in ("-o", "{}={}".format(*each))
        ]
        self._folder = folder

    def __call__(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run apt-get or apt-cache."""
        return subprocess.run(
            [program, *self._options, *arguments],
            cwd=self._folder,
            env=os.environ | {"LC_ALL": "C"},
            capture_output=True,
            text=True,
        )

    def candidate(self) -> str:
        """Return the version that would be installed."""
        said = self("apt-cache", "policy", "kaimen").stdout
        return said.partition("Candidate: ")[2].partition("\n")[0]
