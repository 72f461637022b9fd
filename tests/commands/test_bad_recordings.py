"""Whatever somebody calls a recording: one sentence, the documented exit code, nothing lost."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kaimen.calibration.calibration import Calibration, calibration_path
from kaimen.cli.main import main
from kaimen.gallery.gallery import Gallery
from kaimen.registry.vault import Vault
from kaimen.rehearsal import RECORDINGS, VOICES
from kaimen.sound.recording import read
from kaimen.voice.encoder import Encoder

USABLE = 0
UNUSABLE = 3  # docs/use/commands.md

Make = Callable[[Path], Path]

pytestmark = pytest.mark.slow


def voice() -> np.ndarray:
    return read(RECORDINGS / "anning" / "phrase-1.mp3")


def write(path: Path, samples: np.ndarray, rate: int = 16_000, subtype: str = "FLOAT") -> Path:
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def empty(folder: Path) -> Path:
    path = folder / "empty.mp3"
    path.touch()
    return path


def text(folder: Path) -> Path:
    path = folder / "text.mp3"
    path.write_text("芝麻开门\n" * 500, encoding="utf-8")
    return path


def silence(folder: Path) -> Path:
    return write(folder / "silence.wav", np.zeros(32_000))


def noise(folder: Path) -> Path:
    random = np.random.default_rng(0)
    return write(folder / "noise.wav", 0.1 * random.standard_normal(32_000))


def not_numbers(folder: Path) -> Path:
    samples = voice()
    samples[1_000:1_010] = np.nan
    return write(folder / "nan.wav", samples)


def eight_kilohertz_stereo(folder: Path) -> Path:
    # Nobody who is enrolled: a voice that is known gets no second name.
    halved = read(VOICES / "stop-yes" / "s08" / "phrase-1.mp3")[::2]
    return write(folder / "stereo.wav", np.stack((halved, halved), 1), 8_000, "PCM_16")


def ten_minutes(folder: Path) -> Path:
    random = np.random.default_rng(0)
    samples = 1e-3 * random.standard_normal(600 * 16_000).astype(np.float32)
    spoken = voice()
    samples[: len(spoken)] += spoken
    samples[-len(spoken) - 16_000 : -16_000] += spoken
    return write(folder / "long.wav", samples, subtype="PCM_16")


def missing(folder: Path) -> Path:
    return folder / "nowhere.mp3"


def pipe(folder: Path) -> Path:
    path = folder / "pipe.mp3"
    os.mkfifo(path)
    return path


def endless(folder: Path) -> Path:
    path = folder / "endless.mp3"
    path.symlink_to("/dev/zero")
    return path


def folder_itself(folder: Path) -> Path:
    path = folder / "folder.mp3"
    path.mkdir()
    return path


# What each is, for a command that wants one phrase and for one that hears a stream.
BAD: dict[Make, tuple[int, int]] = {
    empty: (UNUSABLE, UNUSABLE),
    text: (UNUSABLE, UNUSABLE),
    silence: (UNUSABLE, UNUSABLE),
    noise: (UNUSABLE, UNUSABLE),
    not_numbers: (UNUSABLE, UNUSABLE),
    eight_kilohertz_stereo: (USABLE, USABLE),
    ten_minutes: (UNUSABLE, USABLE),
    missing: (UNUSABLE, UNUSABLE),
    pipe: (UNUSABLE, UNUSABLE),
    endless: (UNUSABLE, UNUSABLE),
    folder_itself: (UNUSABLE, UNUSABLE),
}


def configured(folder: Path) -> Path:
    """Write a configuration for a folder."""
    path = folder / "kaimen.toml"
    gallery = folder / "gallery" / "gallery.sqlite"
    path.write_text(
        f'[gallery]\npath = "{gallery}"\nkey = "{folder}/key"\n'
        "[door]\nmock = true\nlease = 0.05\n"
        # A machine's takes are as alike as recordings.
        "[checks]\nreplay = false\nloudspeaker = false\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return configured(tmp_path)


@dataclass(frozen=True)
class Done:
    """A command that ended: what a process of its own would leave."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def kaimen(config: Path, capfd: pytest.CaptureFixture) -> Run:
    """Run a command; what a library writes to the terminal by itself is seen, too."""

    def run(*arguments: str | Path) -> Done:
        capfd.readouterr()
        code = main([*map(str, arguments), "--config", str(config), "--json"])
        return Done(code, *capfd.readouterr())

    return run


def objects(output: str) -> list[dict]:
    return [json.loads(line) for line in output.splitlines()]


def is_one_sentence(fields: dict, path: Path) -> bool:
    return fields["path"] == str(path) and 10 < len(fields["error"]) < 160


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one student, who is enrolled once for all tests."""
    folder = tmp_path_factory.mktemp("school")
    takes = sorted((RECORDINGS / "anning").glob("phrase-[1-3].mp3"))
    given = ["enroll", "--student", "anning", *map(str, takes)]
    assert main([*given, "--config", str(configured(folder)), "--json"]) == 0
    return folder


@pytest.fixture
def enrolled(school: Path, config: Path, tmp_path: Path) -> Path:
    """A configuration with one student, and what its gallery holds."""
    shutil.copytree(school / "gallery", tmp_path / "gallery")
    shutil.copy(school / "key", tmp_path / "key")
    return tmp_path / "gallery" / "gallery.sqlite"


def known(registry: Path) -> dict[str, list]:
    """Who is enrolled, with which points, and the threshold."""
    encoder = Encoder()
    vault = Vault.load(registry.parents[1] / "key")
    gallery = Gallery.open(registry, vault, encoder.identity, encoder.card.dimension)
    return {
        "threshold": [Calibration.load(calibration_path(registry), vault).threshold],
        **{student: gallery.voiceprints(student).tolist() for student in gallery.students},
    }


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_enrolling_a_bad_recording_changes_nothing(
    make: Make, kaimen: Run, enrolled: Path, tmp_path: Path
) -> None:
    before = known(enrolled)
    path = make(tmp_path)
    done = kaimen("enroll", "--student", "somebody", path)
    assert done.returncode == BAD[make][0], done.stderr
    assert done.stderr == ""
    after = known(enrolled)
    if BAD[make][0] == USABLE:
        assert "somebody" in after
    else:
        assert is_one_sentence(objects(done.stdout)[0], path)
        assert after == before


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_listening_to_a_bad_recording_opens_nothing_and_goes_on(
    make: Make, kaimen: Run, enrolled: Path, tmp_path: Path
) -> None:
    path = make(tmp_path)
    good = RECORDINGS / "anning" / "phrase-6.mp3"
    done = kaimen("listen", path, good)
    assert done.returncode == BAD[make][1], done.stderr
    assert done.stderr == ""
    *answers, last = objects(done.stdout)
    assert (last["path"], last["verdict"]) == (str(good), "open")
    if BAD[make][1] == UNUSABLE:
        assert len(answers) == 1 and is_one_sentence(answers[0], path)
    else:
        assert {answer["verdict"] for answer in answers if "note" not in answer} <= {
            "open",
            "unknown",
        }


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_embedding_a_bad_recording_keeps_the_good_ones(
    make: Make, kaimen: Run, tmp_path: Path
) -> None:
    path, out = make(tmp_path), tmp_path / "points.npz"
    good = RECORDINGS / "bowen" / "phrase-1.mp3"
    done = kaimen("embed", path, good, "--out", out)
    assert done.returncode == BAD[make][0], done.stderr
    assert done.stderr == ""
    with np.load(out) as points:
        embedded = points["paths"].tolist()
        assert points["vectors"].shape == (len(embedded), Encoder().card.dimension)
    assert embedded == ([str(path), str(good)] if BAD[make][0] == USABLE else [str(good)])


def test_embedding_nothing_usable_writes_nothing(kaimen: Run, tmp_path: Path) -> None:
    out = tmp_path / "points.npz"
    assert kaimen("embed", text(tmp_path), "--out", out).returncode == UNUSABLE
    assert not out.exists()


def test_both_phrases_of_a_ten_minute_recording_are_answered_where_they_are(
    kaimen: Run, enrolled: Path, tmp_path: Path
) -> None:
    done = kaimen("listen", ten_minutes(tmp_path))
    answers = objects(done.stdout)
    assert [answer["verdict"] for answer in answers] == ["open", "open"]
    assert answers[0]["began"] < 1 and 595 < answers[1]["ended"] < 600


def forbidden(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the permission; root, whom nothing is forbidden, is told no by hand."""
    path.chmod(0)
    if os.access(path, os.R_OK):
        refuse = PermissionError(13, "Permission denied", str(path))
        for name in ("iterdir", "open"):
            original = getattr(Path, name)

            def refused(
                self: Path, *rest: object, original: Callable = original, **named: object
            ) -> object:
                if self == path or path in self.parents:
                    raise refuse
                return original(self, *rest, **named)

            monkeypatch.setattr(Path, name, refused)

        opened = os.open

        def refused_here(
            name: str | Path,
            flags: int,
            *rest: object,
            original: Callable = opened,
            **named: object,
        ) -> object:
            if Path(name) == path or path in Path(name).parents:
                raise refuse
            return original(name, flags, *rest, **named)

        monkeypatch.setattr(os, "open", refused_here)


def test_a_folder_without_permission_is_named(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "school"
    folder.mkdir()
    forbidden(folder, monkeypatch)
    arguments = ["enroll", "--from", str(folder), "--config", str(config), "--json"]
    assert main(arguments) == 2
    assert str(folder) in json.loads(capsys.readouterr().out)["error"]


def test_a_recording_without_permission_is_named(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    path = write(tmp_path / "voice.wav", voice())
    forbidden(path, monkeypatch)
    out = tmp_path / "points.npz"
    assert main(["embed", str(path), "--out", str(out), "--json"]) == UNUSABLE
    assert json.loads(capsys.readouterr().out.splitlines()[0])["path"] == str(path)
    assert not out.exists()
