"""Commands in terminals that cannot show everything."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kaimen.rehearsal import RECORDINGS

LOCALES = {
    "en_US.ISO-8859-1": ("en_US", "ISO-8859-1"),
    "zh_CN.GBK": ("zh_CN", "GBK"),
    "C": None,
    "POSIX": None,
}


@pytest.fixture(params=LOCALES)
def locale(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """An environment in a locale, made with localedef where the system lacks it."""
    name = request.param
    made = LOCALES[name]
    if made is not None:
        if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales").is_dir():
            pytest.skip("no localedef, or no locales to make one of")
        folder = tmp_path / "locales"
        folder.mkdir()
        subprocess.run(
            ["localedef", "-c", "-i", made[0], "-f", made[1], folder / name],
            check=False, capture_output=True,
        )  # fmt: skip
        assert (folder / name).is_dir()
    return {**os.environ, "LC_ALL": name, "LOCPATH": str(tmp_path / "locales")}


def kaimen(locale: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    code = "import sys; from kaimen.cli.start import main; sys.exit(main())"
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=locale, capture_output=True, timeout=300
    )
    assert b"Traceback" not in ended.stderr
    return ended


def test_help_ends_at_no_character(locale: dict[str, str]) -> None:
    for command in ([], ["enroll"], ["attack"]):
        assert kaimen(locale, *command, "--help").returncode == 0


@pytest.mark.slow
def test_a_school_is_enrolled_listed_and_heard(locale: dict[str, str], tmp_path: Path) -> None:
    for voice, name in (("anning", "安宁"), ("bowen", "Ren\u00e9")):
        shutil.copytree(RECORDINGS / voice, tmp_path / "school" / name)
    config = tmp_path / "kaimen.toml"
    config.write_text(
        f'[gallery]\npath = "{tmp_path}/gallery.sqlite"\nkey = "{tmp_path}/key"\n'
        "[door]\nmock = true\nlease = 0.05\n[checks]\nreplay = false\nloudspeaker = false\n",
        encoding="utf-8",
    )
    chosen = ("--config", config)
    assert kaimen(locale, "enroll", "--from", tmp_path / "school", *chosen).returncode == 0
    listed = kaimen(locale, "students", "--json", *chosen).stdout.splitlines()
    assert [json.loads(line)["student"] for line in listed] == ["Ren\u00e9", "安宁"]
    table = tmp_path / "school.csv"
    table.write_text("student,path\n安宁,school/安宁/phrase-1.mp3\n", encoding="utf-8")
    assert kaimen(locale, "enroll", "--from", table, *chosen).returncode == 0
    probe = RECORDINGS / "bowen" / "phrase-6.mp3"
    assert kaimen(locale, "listen", probe, *chosen).returncode == 0
    assert kaimen(locale, "doctor", *chosen).returncode in (0, 1)
