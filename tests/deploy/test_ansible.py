"""The Ansible role: its playbook is one, and what it writes are settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kaimen.settings import Settings

FOLDER = Path(__file__).parents[2] / "deploy" / "ansible"
ROLE = FOLDER / "roles" / "kaimen"
BIN = Path(sys.executable).parent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (BIN / "ansible").exists(), reason="needs ansible-core (extra dev)"),
]


def ansible(home: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"ANSIBLE_HOME": str(home), "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(
        [str(BIN / program), *arguments],
        cwd=FOLDER, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def written(home: Path, *variables: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    """The settings of a gate with these variables, put in place only if the program takes them."""
    out = home / "kaimen.toml"
    validate = f"{sys.executable} -m kaimen.cli.main settings --config %s"
    given = [part for each in variables for part in ("-e", each)]
    task = f"src={ROLE}/templates/kaimen.toml.j2 dest={out} validate='{validate}'"
    done = ansible(
        home, "ansible", "localhost", "-c", "local", "-e", f"@{ROLE}/defaults/main.yml",
        "-e", f"ansible_python_interpreter={sys.executable}",
        *given, "-m", "ansible.builtin.template", "-a", task,
    )  # fmt: skip
    return done, out


def test_the_playbook_is_one(tmp_path: Path) -> None:
    done = ansible(
        tmp_path, "ansible-playbook", "-i", "inventory.example.ini", "gates.yml", "--syntax-check"
    )
    assert done.returncode == 0, done.stderr


def test_what_is_not_said_is_as_the_installed_file_has_it(tmp_path: Path) -> None:
    done, out = written(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert Settings.read(out) == Settings.read(FOLDER.parent / "kaimen.toml")


def test_what_is_said_of_a_door_is_in_its_settings(tmp_path: Path) -> None:
    more = '{"kaimen_settings": "[checks]\\nreplay = false"}'
    done, out = written(
        tmp_path, "kaimen_relay=5", "kaimen_contact=22", "kaimen_microphone='a \"USB\" one'", more
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = Settings.read(out)
    assert (found.door.pin, found.door.contact) == (5, 22)
    assert found.sound.microphone == 'a "USB" one'
    assert not found.checks.replay


def test_a_mistake_is_not_put_in_place(tmp_path: Path) -> None:
    done, out = written(tmp_path, "kaimen_relay=99")
    assert done.returncode != 0
    assert "BCM" in done.stdout + done.stderr
    assert not out.exists()
