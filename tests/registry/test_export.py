"""A student is given all that is kept of them, whatever it is, and nothing of anybody else."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaimen.errors import GalleryError
from kaimen.registry import pins
from kaimen.registry.database import MEMORY
from kaimen.registry.export import export
from kaimen.registry.registry import Registry
from kaimen.registry.replay_memory import ReplayMemory, replay_memory_path
from kaimen.registry.vault import Vault
from tests.registry.whole_student import AT, LI, POINTS, PRINT, SAID, enroll_whole

VAULT = Vault()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setattr(pins, "LOG_N", 4)
    with closing(Registry(tmp_path / "gallery.sqlite", VAULT)) as opened:
        opened.enroll("Wang", POINTS[5, :1], "encoder")
        enroll_whole(opened)
        yield opened


def array(found: dict[str, Any]) -> np.ndarray:
    packed = base64.b64decode(found["base64"])
    return np.frombuffer(packed, found["type"]).reshape(found["shape"])


def test_everything_is_given_with_its_numbers(registry: Registry) -> None:
    with closing(ReplayMemory(replay_memory_path(Path(registry.path)), VAULT)) as memory:
        memory.keep(LI, PRINT)
        memory.keep(LI, PRINT[:1], "北京")
        memory.keep("Wang", PRINT)
    student = registry.student(LI)
    found = json.loads(json.dumps(export(registry, LI)))
    assert [found[each] for each in ("student", "group", "consent", "enrolled", "encoder")] == [
        LI, "七", "2029-07-31", student.enrolled, "encoder",
    ]  # fmt: skip
    recordings = found["recordings"]
    listed = registry.recordings.listed(LI)
    assert [(each["number"], each["word"], each["source_sha256"]) for each in recordings] == [
        (listed[0].number, None, "a"), (listed[1].number, None, "b"),
        (listed[2].number, "上海", "d"), (listed[3].number, "北京", "c"),
    ]  # fmt: skip
    first, second, beside, word = recordings
    for each, made in ((first, POINTS[0, 0]), (second, POINTS[0, 1]), (word, POINTS[1, 0])):
        np.testing.assert_allclose(array(each["voiceprint"]), made, atol=1e-5)
    assert beside["voiceprint"] is None  # another encoder alone knows it
    np.testing.assert_allclose(array(first["said"]), SAID, atol=2e-3)
    np.testing.assert_allclose(array(word["said"]), 2 * SAID, atol=4e-3)
    assert first["said"]["type"] == "float32" and second["said"] is beside["said"] is None
    np.testing.assert_array_equal(array(first["fingerprint"]), PRINT)
    assert first["fingerprint"]["type"] == "uint8"
    assert second["fingerprint"] is word["fingerprint"] is None
    (grown,) = found["grown"]
    assert (grown["number"], grown["at"]) == (1, AT.isoformat())
    np.testing.assert_allclose(array(grown["voiceprint"]), POINTS[4, 0], atol=1e-5)
    assert found["refused"] == [{"source_sha256": "r", "kind": "kind", "reason": "reason"}]
    consents = registry.consents.of(student.number)
    assert found["consents"] == json.loads(json.dumps([asdict(each) for each in consents]))
    assert found["pin"] is True
    assert [each["word"] for each in found["heard"]] == [None, "北京"]
    np.testing.assert_array_equal(array(found["heard"][0]["fingerprint"]), PRINT)
    np.testing.assert_array_equal(array(found["heard"][1]["fingerprint"]), PRINT[:1])


def test_what_is_not_kept_is_nothing(registry: Registry, tmp_path: Path) -> None:
    found = export(registry, "Wang")
    assert (found["consent"], found["group"], found["pin"]) == (None, "", False)
    assert found["recordings"][0]["source_sha256"] is None
    assert found["grown"] == found["refused"] == found["consents"] == found["heard"] == []
    assert not (tmp_path / "gallery.heard.sqlite").exists()
    with pytest.raises(GalleryError, match="not enrolled"):
        export(registry, "Zhao")
    with closing(Registry(MEMORY, VAULT)) as other:
        other.enroll("Rene\u0301", POINTS[0, :1], "encoder")
        found = export(other, "Rene\u0301")
        assert (found["student"], found["heard"], len(found["recordings"])) == ("Ren\u00e9", [], 1)
