"""``kaimen review``, with phrases of the synthetic voices that ship."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import soundfile

from kaimen.cli.main import main
from kaimen.gallery.index import index_path
from kaimen.registry.kept_phrases import KeptPhrases, kept_phrases_path
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from kaimen.rehearsal import RECORDINGS
from kaimen.review.keeping import as_flac
from kaimen.sound.recording import only_phrase, read


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "kaimen.toml"
    path.write_text(
        f'[gallery]\npath = "{tmp_path}/gallery.sqlite"\nkey = "{tmp_path}/key"\n'
        "[door]\nmock = true\n[checks]\nreplay = false\nloudspeaker = false\n"
        "[review]\ndays = 7\nshare = 1.0\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def phrases(tmp_path: Path) -> KeptPhrases:
    vault = Vault()
    vault.save(tmp_path / "key")
    return KeptPhrases(kept_phrases_path(tmp_path / "gallery.sqlite"), vault)


def run(
    capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> tuple[int, list[dict[str, Any]]]:
    capsys.readouterr()
    code = main([*map(str, arguments), "--json"])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def kept(phrases: KeptPhrases, voice: str = "anning") -> str:
    sound = only_phrase(read(RECORDINGS / voice / "phrase-5.mp3")).samples
    told = {"verdict": "unknown", "reason": "nearest is anning", "stratum": "doubtful"}
    return phrases.keep(as_flac(sound), told, {voice})


def recordings(config: Path) -> int:
    registry = Registry(config.parent / "gallery.sqlite", Vault.load(config.parent / "key"))
    try:
        return len(registry.recordings.listed("anning"))
    finally:
        registry.close()


def enroll(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    takes = sorted((RECORDINGS / "anning").glob("phrase-[1-3].mp3"))
    assert run(capsys, "enroll", "--student", "anning", *takes, "--config", config)[0] == 0


def test_phrases_are_listed_saved_marked_counted_and_erased(
    config: Path, phrases: KeptPhrases, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    number = kept(phrases)
    code, (line,) = run(capsys, "review", "--config", config)
    assert (code, line["phrase"], line["marked"]) == (0, number, None)
    out = tmp_path / "heard.flac"
    assert run(capsys, "review", "save", number, "--out", out, "--config", config)[0] == 0
    assert soundfile.info(out).samplerate == 16_000
    assert out.stat().st_mode & 0o077 == 0
    assert run(capsys, "review", "wrong", number, "--config", config)[0] == 0
    code, (found,) = run(capsys, "review", "figures", "--config", config)
    assert found["strata"]["doubtful"] == {"phrases": 1, "marked": 1, "wrong": 1}
    assert run(capsys, "review", "erase", number, "--config", config) == (0, [{"erased": 1}])
    code, (found,) = run(capsys, "review", "figures", "--config", config)
    assert found["strata"]["doubtful"]["marked"] == 1
    code, acts = run(capsys, "log", "--acts", "--config", config)
    assert [each["said"].partition("terminal ")[2] for each in acts[:3]] == [
        "listened to a kept phrase", "marked a kept phrase", "erased a kept phrase",
    ]  # fmt: skip
    assert run(capsys, "review", "erase", "--all", "--config", config) == (0, [{"erased": 0}])


@pytest.mark.parametrize(
    "wrong",
    [
        ["save", "x"], ["enroll", "x"], ["erase"], ["erase", "x", "--all"], ["right"],
        ["list", "x"], ["figures", "--out", "x"], ["save", "x", "--out", "/nowhere/at/all.flac"],
    ],
)  # fmt: skip
def test_wrong_usage_is_one_sentence(
    config: Path, capsys: pytest.CaptureFixture[str], wrong: list[str]
) -> None:
    code, (error,) = run(capsys, "review", *wrong, "--config", config)
    assert code in (2, 6)
    assert len(error["error"]) < 200


def test_of_several_phrases_all_are_there_or_nothing_is_done(
    config: Path, phrases: KeptPhrases, capsys: pytest.CaptureFixture[str]
) -> None:
    number, absent = kept(phrases), "20200101T000000-abcdef"
    for what in ("wrong", "erase"):
        code, (error,) = run(capsys, "review", what, number, absent, "--config", config)
        assert code == 4
        assert "no such phrase" in error["error"]
    assert phrases.numbers() == [number]
    assert phrases.marks() == []


@pytest.mark.slow
def test_a_phrase_becomes_a_recording_of_its_student_and_of_nobody_else(
    config: Path, phrases: KeptPhrases, capsys: pytest.CaptureFixture[str]
) -> None:
    enroll(capsys, config)
    another, own = kept(phrases, "bowen"), kept(phrases)
    asked = ("--student", "anning", "--config", config)
    code, (refusal, *_) = run(capsys, "review", "enroll", another, *asked)
    assert (code, recordings(config)) == (3, 3)
    assert "not like the student's other recordings" in refusal["error"]
    code, (line, *_) = run(capsys, "review", "enroll", own, *asked)
    assert (code, line["recordings"], recordings(config)) == (0, 4, 4)
    code, (refusal, *_) = run(capsys, "review", "enroll", own, *asked)
    assert (code, recordings(config)) == (3, 4)
    assert "enrolled already" in refusal["error"]
    asked = ("--student", "bowen", "--config", config)
    assert run(capsys, "review", "enroll", own, *asked)[0] == 4
    assert index_path(config.parent / "gallery.sqlite").exists()


@pytest.mark.slow
def test_a_gate_keeps_what_it_heard_and_what_was_decided_of_it(
    config: Path, capsys: pytest.CaptureFixture[str], phrases: KeptPhrases
) -> None:
    enroll(capsys, config)
    play = RECORDINGS / "anning" / "phrase-4.mp3"
    assert run(capsys, "run", "--play", play, "--config", config)[0] == 0
    (found,) = phrases.phrases()
    assert found.students == ("anning",)
    assert found.told["verdict"] in ("open", "retry", "unknown")
    assert len(phrases.sound(found.number)) > 1000
