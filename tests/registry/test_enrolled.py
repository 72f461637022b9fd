"""How many students each model enrolled is read without a key."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from kaimen.errors import GalleryError
from kaimen.registry.enrolled import enrolled
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from kaimen.settings.encoder import ENCODERS
from kaimen.voice.encoder import Card
from tests.registry.whole_student import POINTS


def test_students_are_counted_by_the_model_that_enrolled_them(tmp_path: Path) -> None:
    path = tmp_path / "gallery.sqlite"
    first, *others = ENCODERS
    assert enrolled(path) == dict.fromkeys(ENCODERS, 0) and not path.exists()
    identity = Card.read(ENCODERS[first].with_suffix(".json")).sha256
    with closing(Registry(path, Vault())) as registry:
        for name in ("Li", "Wang"):
            registry.enroll(name, POINTS[0], identity)
        registry.enroll("Zhao", POINTS[0], "another")
    assert enrolled(path) == {first: 2, **dict.fromkeys(others, 0)}


def test_what_is_no_registry_is_said(tmp_path: Path) -> None:
    for content in ("no database" * 100, ""):
        (tmp_path / "file").write_text(content, encoding="utf-8")
        with pytest.raises(GalleryError, match="file: "):
            enrolled(tmp_path / "file")
