"""The apt repository: what it holds is signed, and apt takes from it what fits and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.damage import flip
from tests.deploy.repository import Apt, Signer, package, served

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("reprepro", "gpg", "dpkg-deb", "apt-get"))),
    reason="no reprepro, gpg or apt here",
)


@pytest.fixture
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    made = Signer(tmp_path_factory.mktemp("keys") / "gpg")
    yield made
    made.end()


@pytest.fixture
def apt(tmp_path: Path) -> Apt:
    return Apt(tmp_path / "apt")


def updated(apt: Apt, public: Path, suite: str) -> str:
    """Let apt read the source of a suite; what it complains of."""
    apt.sources.write_text((public / f"{suite}.sources").read_text())
    return apt("apt-get", "update").stderr


@pytest.mark.slow
def test_each_suite_has_its_own_build_of_the_newest_version(
    tmp_path: Path, signer: Signer, apt: Apt
) -> None:
    folder = tmp_path / "repository"
    (folder / "public").mkdir(parents=True)
    with served(folder / "public") as url:
        for version in ("0.1.0", "0.2.0"):
            both = [package(tmp_path, f"{version}+deb{number}") for number in (12, 13)]
            both[0].with_suffix(".cdx.json").write_text("{}")
            done = signer.publish(folder, url, *both)
            assert done.returncode == 0, done.stderr
        assert updated(apt, folder / "public", "bookworm") == ""
        assert apt.candidate() == "0.2.0+deb12"
        assert updated(apt, folder / "public", "trixie") == ""
        assert apt.candidate() == "0.2.0+deb13"
        assert apt("apt-get", "download", "kaimen").returncode == 0
    assert (tmp_path / "apt" / "kaimen_0.2.0+deb13_arm64.deb").exists()
    assert (folder / "public" / "sbom" / "kaimen_0.2.0+deb12_arm64.cdx.json").exists()
    told = (folder / "public" / ".well-known" / "security.txt").read_text()
    assert "Contact: mailto:somebody@example.org\nExpires: 2" in told
    # A web server that shows the folder shows no more than what is meant for it.
    assert not {"conf", "db"} & {each.name for each in (folder / "public").iterdir()}


@pytest.mark.slow
def test_what_another_has_signed_or_changed_is_not_taken(
    tmp_path: Path, signer: Signer, apt: Apt, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, other = tmp_path / "repository", tmp_path / "other"
    stranger = Signer(tmp_path_factory.mktemp("others") / "gpg")
    try:
        with served(tmp_path) as url:
            own = package(tmp_path, "0.2.0+deb13")
            assert signer.publish(folder, f"{url}/repository/public", own).returncode == 0
            assert stranger.publish(other, f"{url}/other/public", own).returncode == 0
            trusted = (folder / "public" / "trixie.sources").read_text()
            apt.sources.write_text(trusted.replace("/repository/", "/other/"))
            assert "NO_PUBKEY" in apt("apt-get", "update").stderr
            assert apt.candidate() == ""
            [pool] = (folder / "public" / "pool").rglob("*.deb")
            flip(pool, -1)
            assert updated(apt, folder / "public", "trixie") == ""
            done = apt("apt-get", "download", "kaimen")
            assert done.returncode != 0 and "Hash Sum mismatch" in done.stderr
    finally:
        stranger.end()


def test_a_package_for_no_debian_changes_nothing(tmp_path: Path, signer: Signer) -> None:
    folder = tmp_path / "repository"
    done = signer.publish(folder, "http://example.org", package(tmp_path, "0.2.0"))
    assert done.returncode != 0 and "for which Debian?" in done.stderr
    assert not (folder / "public").exists()


def test_without_a_key_nothing_is_published(tmp_path: Path, signer: Signer) -> None:
    signer.key = ""
    done = signer.publish(tmp_path / "r", "http://example.org", package(tmp_path, "0.2.0+deb12"))
    assert done.returncode == 2 and "set KEY" in done.stderr
