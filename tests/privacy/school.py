"""A school of made-up voices in a folder, and the commands on it."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from kaimen.cli.main import main
from kaimen.gallery.gallery import Gallery
from kaimen.installation import Installation
from kaimen.registry.refused import Refused
from kaimen.registry.registry import Registry
from kaimen.registry.replay_memory import ReplayMemory
from kaimen.registry.vault import Vault
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.voice.encoder import Encoder
from kaimen.voice.evidence import Evidence

GONE = "zhao-xuemei-20261128"
OTHERS = [f"student-{number:02}" for number in range(6)]
ENCODER = Encoder()
SIZE = ENCODER.card.dimension
PRINT = np.random.default_rng(3).integers(0, 255, (12, 4), dtype=np.uint8)
SAID = np.random.default_rng(4).standard_normal((5, 8)).astype(np.float32)


def points(seed: int) -> list[np.ndarray]:
    found = np.random.default_rng(seed).standard_normal((5, SIZE)).astype(np.float32)
    return list(found / np.linalg.norm(found, axis=1, keepdims=True))


class School:
    """A school in a folder, and the commands on it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        self.outside = folder
        self.config = folder / "kaimen.toml"
        self.key = folder / "key" / "gallery.key"
        self.config.write_text(
            f'[gallery]\npath = "{self.data}/gallery.sqlite"\nkey = "{self.key}"\n',
            encoding="utf-8",
        )
        self._capsys = capsys
        Vault().save(self.key)
        with closing(self.gallery()) as gallery:
            for number, name in enumerate([GONE, *OTHERS]):
                gallery.enroll(
                    name,
                    points(number),
                    evidence=[Evidence(SAID, "words", PRINT)] * 5,
                    sources=[f"{name}-{take}" for take in range(5)],
                )
            gallery.registry.refused_files.remember(
                GONE, [Refused("source", "rules", "kind", "reason")]
            )
            gallery.save()
        with closing(ReplayMemory(self.data / "gallery.heard.sqlite", self.vault)) as memory:
            memory.keep(GONE, PRINT)
            memory.keep(OTHERS[0], PRINT)

    @property
    def vault(self) -> Vault:
        return Vault.load(self.key)

    def gallery(self) -> Gallery:
        return Gallery.open(self.data / "gallery.sqlite", self.vault, ENCODER.identity, SIZE)

    def registry(self) -> Registry:
        return Registry(self.data / "gallery.sqlite", self.vault)

    def installation(self) -> Installation:
        return Installation.open(Settings.read(self.config), Screen(as_json=True))

    def __call__(self, *arguments: str | Path) -> tuple[int, list[dict]]:
        self._capsys.readouterr()
        code = main([*map(str, arguments), "--config", str(self.config), "--json"])
        return code, [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]

    def sealed(self, name: str) -> list[bytes]:
        """All that the registry holds of a student, as it lies on the disk."""
        with closing(self.registry()) as registry:
            rows = registry.database.read(
                "SELECT voiceprint, said, fingerprint FROM recordings JOIN students "
                "ON student = students.number WHERE name = ?",
                name,
            )
        return [bytes(each) for row in rows for each in row if each]  # type: ignore[arg-type]

    def everything(self, folder: Path | None = None) -> bytes:
        """Every byte of every file of the data folder, and the files' names."""
        files = [each for each in (folder or self.data).rglob("*") if each.is_file()]
        return b"\n".join(os.fsencode(each) + b"\n" + each.read_bytes() for each in files)

    def heard(self, name: str) -> int:
        with closing(ReplayMemory(self.data / "gallery.heard.sqlite", self.vault)) as memory:
            return len(memory.of(name))
