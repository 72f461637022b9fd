"""What apt knows of Kaimen's package, and how it takes a newer one.

apt itself checks the repository's signature and each file's hash. Only Kaimen's own source is
asked, so that nothing else of the machine changes.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kaimen.errors import UpdateError
from kaimen.interrupt import handled

PACKAGE = "kaimen"
SOURCE = Path("/etc/apt/sources.list.d/kaimen.sources")
PAGE = "docs/use/update.md"
PATIENCE = 60  # seconds to wait for another program that has apt
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Versions:
    """Which Kaimen is installed, and which one apt would install."""

    installed: str
    candidate: str

    @property
    def newer(self) -> bool:
        """Return whether there is one to install."""
        return self.candidate != self.installed


def require_package() -> str:
    """Return the version of the package that this program runs from. Raises UpdateError."""
    version = installed()
    if version is None or not str(Path(__file__).resolve()).startswith("/opt/kaimen/"):
        raise UpdateError(
            f"this Kaimen is no Debian package ({Path(__file__).parents[1]}); "
            "update it the way it was installed"
        )
    return version


def installed() -> str | None:
    """Return the version of the installed package; None where there is none."""
    if shutil.which("dpkg-query") is None:
        return None
    done = _run("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", PACKAGE)
    state, _, version = done.stdout.partition(" ")
    return version if done.returncode == 0 and state == "installed" else None


def require_root() -> None:
    """Raise UpdateError where this user may not install anything."""
    if os.geteuid() != 0:
        raise UpdateError("only root may update; say 'sudo kaimen update'")


def look(version: str) -> Versions:
    """Ask the source which Kaimen there is. Raises UpdateError."""
    if not SOURCE.exists():
        raise UpdateError(f"apt does not know where Kaimen comes from; put {SOURCE} there ({PAGE})")
    # A source that cannot be reached is an error, not a warning beside an old list.
    done = _run(
        "apt-get", "update", "--quiet=2",
        "-o", f"Dir::Etc::sourcelist={SOURCE}", "-o", "Dir::Etc::sourceparts=-",
        "-o", "APT::Get::List-Cleanup=0", "-o", "APT::Update::Error-Mode=any",
    )  # fmt: skip
    if done.returncode:
        raise UpdateError(f"the source cannot be asked ({_said(done)}); see {SOURCE}")
    done = _run("apt-cache", "policy", PACKAGE)
    found = re.search(r"^ +Candidate: (\S+)$", done.stdout, re.MULTILINE)
    # An older one of the source, or none, is not what there is to update to.
    return Versions(version, found[1] if found and _is_newer(found[1], version) else version)


def install(version: str) -> None:
    """Let apt install a version of the package, and what it needs. Raises UpdateError."""
    # Neither Ctrl-C nor a lost terminal ends this program, or what it starts.
    with handled(signal.SIG_IGN, *ENDING):
        done = _run(
            "apt-get", "install", "--yes", "--quiet=2", "--no-install-recommends",
            "-o", f"DPkg::Lock::Timeout={PATIENCE}", f"{PACKAGE}={version}",
        )  # fmt: skip
    if done.returncode:
        raise UpdateError(
            f"apt could not install {version} ({_said(done)}); see what 'sudo apt-get install "
            f"{PACKAGE}' says, and 'sudo kaimen doctor' for the gate"
        )


def _is_newer(one: str, other: str) -> bool:
    if one == "(none)":
        return False
    return _run("dpkg", "--compare-versions", one, "gt", other).returncode == 0


def _said(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last thing that apt named an error."""
    lines = [line[3:].strip() for line in done.stderr.splitlines() if line[:2] in ("E:", "W:")]
    return lines[-1].rstrip(".") if lines else f"exit code {done.returncode}"


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    settings = os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=settings,
            check=False,
        )
    except FileNotFoundError:
        raise UpdateError(f"{command[0]} is not here; update by hand ({PAGE})") from None
