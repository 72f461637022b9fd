"""The Debian package: what its scripts name is there, and its versions are those tested here."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from kaimen.voice import ENCODERS

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(
    path
    for path in (ROOT / "deploy").rglob("*")
    if path.is_file() and path.read_bytes()[:2] == b"#!" and path.suffix != ".py"
)
PACKAGES = sorted((ROOT / "build" / "deb").glob("*.deb"))
LARGEST = 250_000  # kilobytes, installed


def locked(path: Path) -> set[str]:
    """Names and versions, with the markers they are for."""
    return set(re.findall(r"^([\w.-]+==[^\s\\]+(?: ; [^\\]+)?)", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_one(script: Path) -> None:
    shell = "bash" if b"bash" in script.read_bytes().splitlines()[0] else "sh"
    if b"python" in script.read_bytes().splitlines()[0]:
        pytest.skip("no shell's")
    subprocess.run([shell, "-n", str(script)], check=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_no_script_deletes_what_is_mounted_in_a_root(script: Path) -> None:
    """A build that was killed leaves the machine's own /dev/shm mounted there."""
    for line in script.read_text().splitlines():
        if re.search(r'\brm -r.*"\$root"', line):
            assert "--one-file-system" in line


def test_the_package_has_the_versions_that_are_tested() -> None:
    def plain(lines: set[str]) -> set[str]:
        return {line.split(" ;")[0].strip() for line in lines}

    tested = plain(locked(ROOT / "requirements.lock"))
    package = plain(locked(ROOT / "deploy" / "deb" / "requirements.lock"))
    assert package and not package - tested


@pytest.mark.parametrize("script", ["install.sh", "deb/build.sh"])
def test_what_is_installed_as_root_is_taken_by_its_hash(script: str) -> None:
    text = (ROOT / "deploy" / script).read_text()
    calls = [line for line in text.splitlines() if re.search(r"pip install\b.*[^\w-]", line)]
    calls = [line for line in calls if "apt-get" not in line and not line.startswith("#")]
    assert calls
    for line in calls:
        assert "--require-hashes -r" in line or "--no-deps" in line, line


@pytest.mark.skipif(shutil.which("systemctl") is None, reason="no systemctl here")
def test_an_installation_enables_the_gate_and_leaves_what_else_there_is(tmp_path: Path) -> None:
    units = tmp_path / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for unit in (ROOT / "systemd").glob("*.service"):
        shutil.copy(unit, units)
    (units / "kaimen-other.service").write_text("[Install]\nWantedBy=multi-user.target\n")
    presets = tmp_path / "usr/lib/systemd/system-preset"
    presets.mkdir()
    for preset in (ROOT / "systemd").glob("*.preset"):
        shutil.copy(preset, presets)
    names = sorted(unit.name for unit in units.iterdir())
    subprocess.run(["systemctl", "--quiet", f"--root={tmp_path}", "preset", *names], check=True)
    enabled = {link.name for link in (tmp_path / "etc/systemd/system").rglob("*.service")}
    assert enabled == {"kaimen-rest.service", "kaimen-door.service", "kaimen-gate.service"}


@pytest.mark.parametrize("script", ["build.sh", "postinst", "prerm"])
def test_what_comes_along_is_asked_for_and_no_unit_is_named(script: str) -> None:
    text = (ROOT / "deploy" / "deb" / script).read_text()
    assert not re.search(r"kaimen-\w+\.(service|socket|timer)|kaimen-\{", text)


def test_every_encoder_that_comes_along_is_packed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packed = {
        path
        for pattern in project["tool"]["setuptools"]["package-data"]["kaimen"]
        for path in (ROOT / "edge" / "kaimen").glob(pattern)
    }
    for encoder in ENCODERS.values():
        assert {encoder, encoder.with_suffix(".json")} <= packed


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_built_package_holds_the_gate_and_no_more(package: Path) -> None:
    said = subprocess.run(
        ["dpkg-deb", "--contents", str(package)], check=True, capture_output=True, text=True
    ).stdout
    files = {line.split()[5] for line in said.splitlines()}
    assert "./usr/bin/kaimen" in files
    assert "./usr/lib/systemd/system/kaimen-gate.service" in files
    for encoder in ENCODERS.values():
        assert any(file.endswith(str(encoder.relative_to(ROOT / "edge"))) for file in files)
    assert not any("kaimen_train" in file or "/tensorflow/" in file for file in files)
    assert not any(file.startswith("./etc/") for file in files)  # settings are an operator's
    size = subprocess.run(
        ["dpkg-deb", "--field", str(package), "Installed-Size"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert int(size) <= LARGEST


def test_the_program_is_not_run_by_the_processes_that_it_starts() -> None:
    text = (ROOT / "deploy" / "deb" / "build.sh").read_text()
    program = text.partition("<<'SCRIPT'\n")[2].partition("\nSCRIPT\n")[0]
    assert program.startswith("#!/opt/kaimen/bin/python\n")
    compile(program, "kaimen", "exec")
    assert 'if __name__ == "__main__":' in program
