"""`kaimen bundle` as somebody uses it, with the encoder that ships and a second one."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile

from kaimen.bundle.signing import private_key
from kaimen.calibration.calibration import Calibration, calibration_path
from kaimen.cli.main import main
from kaimen.gallery.index import index_paths
from kaimen.installation import Installation
from kaimen.registry.vault import Vault
from kaimen.rehearsal import RECORDINGS
from kaimen.settings import Settings
from kaimen.sound import SAMPLE_RATE
from kaimen.sound.recording import read
from kaimen.voice import SHIPPED
from kaimen.voice.encoder import Encoder
from tests.bundle.made import card_of, real, second
from tests.bundle.test_slots import Pulled, pulled_at
from tests.sounds import in_a_room, silence

VOICES = ("anning", "bowen")


class Gate:
    """A gate with its settings, that trusts one maker."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys
        self.config = folder / "kaimen.toml"
        self.config.write_text(
            f'[gallery]\npath = "{folder}/gallery.sqlite"\nkey = "{folder}/key"\n'
            f'[bundle]\npath = "{folder}/bundles"\ntrusted = "{folder}/trusted"\n'
            "[door]\nmock = true\nlease = 0.2\n"
            # A machine's takes are as alike as recordings.
            "[checks]\nreplay = false\nloudspeaker = false\n",
            encoding="utf-8",
        )
        self.key = folder / "maker.pem"
        assert self("bundle", "key", self.key)[0] == 0
        (folder / "trusted").mkdir()
        shutil.copy(folder / "maker.pub", folder / "trusted")

    def __call__(self, *arguments: str | Path) -> tuple[int, list[dict[str, Any]]]:
        """The exit code and what a program reads."""
        code = main([*map(str, arguments), "--json", "--config", str(self.config)])
        return code, [json.loads(line) for line in self.capsys.readouterr().out.splitlines()]

    def bundle(self, version: int = 2, **changed: bytes) -> Path:
        path = self.folder / f"{version}.kaimen"
        real(path, private_key(self.key), version, **changed)
        return path

    def enroll(self, *voices: str) -> None:
        for voice in voices:
            takes = sorted((RECORDINGS / voice).glob("phrase-[1-5].mp3"))
            assert self("enroll", "--student", voice, *takes)[0] == 0

    def install(self, bundle: Path, *more: str | Path) -> dict[str, Any]:
        code, said = self("bundle", "install", bundle, *more)
        assert code == 0, said
        return said[-1]

    def refused(self, *arguments: str | Path) -> dict[str, Any]:
        """What is said of a refusal; nothing was changed by it."""
        before = self.encoder
        code, said = self("bundle", *arguments)
        assert code == 4, said
        assert self.encoder == before
        assert not (self.folder / "bundles" / "incoming").exists()
        return said[-1]

    @property
    def encoder(self) -> str:
        """The identity of what decides."""
        return Installation.open(Settings.read(self.config)).encoder.identity

    def listen(self, voice: str) -> str | None:
        """Whom the gate lets in."""
        code, (answer,) = self("listen", RECORDINGS / voice / "phrase-6.mp3")
        assert code == 0
        student: str | None = answer["student"]
        return student


@pytest.fixture
def gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Gate:
    return Gate(tmp_path, capsys)


@pytest.mark.slow
def test_a_detector_that_knows_the_encoder_hears_phrases_beside_its_points(gate: Gate) -> None:
    file = gate.folder / "same.kaimen"
    code, (made,) = gate("bundle", "make", file, "--key", gate.key, "--version", "2")
    assert (code, made["loudspeaker"]) == (0, "beside")


@pytest.mark.slow
def test_a_bundle_is_made_inspected_installed_and_rolled_back(gate: Gate) -> None:
    network, card = second()
    (gate.folder / "second.tflite").write_bytes(network)
    (gate.folder / "second.json").write_bytes(card)
    file = gate.folder / "autumn.kaimen"
    code, (made,) = gate(
        "bundle", "make", file, "--key", gate.key, "--version", "2",
        "--encoder", gate.folder / "second.tflite", "--name", "autumn", "--fpir", "0.02",
    )  # fmt: skip
    assert code == 0
    code, (inspected,) = gate("bundle", "inspect", file)
    assert code == 0
    assert (inspected["name"], inspected["version"], inspected["fpir"]) == ("autumn", 2, 0.02)
    assert inspected["identity"] == made["identity"]
    assert made["loudspeaker"] == "alone"  # the detector that ships knows the encoder that ships
    assert ["encoder.tflite", len(network)] in [part[:2] for part in inspected["parts"]]

    installed = gate.install(file)
    assert installed["active"] and installed["students"] == 0  # nobody whom it could be tried on
    assert gate.encoder == Encoder(gate.folder / "second.tflite").identity
    code, (there,) = gate("bundle", "inspect")
    assert there["active"].startswith("autumn, version 2") and there["highest"] == 2
    code, (back,) = gate("bundle", "rollback")
    assert (code, back["active"]) == (0, "what ships with the program")
    assert gate.encoder == Encoder().identity
    assert "no way back" in gate.refused("rollback")["error"]


@pytest.mark.slow
def test_every_kind_of_bundle_that_is_refused_has_its_own_sentence(gate: Gate) -> None:
    good = gate.bundle(5)
    whole = good.read_bytes()
    gate.install(good)
    file = gate.folder / "bad.kaimen"

    def said(content: bytes) -> tuple[str, str]:
        file.write_bytes(content)
        refusal = gate.refused("install", file)
        assert gate.refused("inspect", file)["kind"] == refusal["kind"]
        return refusal["kind"], refusal["error"]

    sentences = {
        "forged": said(whole[:300] + bytes([whole[300] ^ 1]) + whole[301:]),
        "flipped": said(whole[:90_000] + bytes([whole[90_000] ^ 1]) + whole[90_001:]),
        "truncated": said(whole[:-1]),
        "longer": said(whole + b"x"),
        "not one": said(b"RIFF" + whole),
    }
    assert [kind for kind, _ in sentences.values()] == [
        "ForgedBundle", "ForgedBundle", "TruncatedBundle", "ForgedBundle", "BundleError",
    ]  # fmt: skip

    (gate.folder / "other").mkdir()
    gate("bundle", "key", gate.folder / "other" / "maker.pem")
    real(file, private_key(gate.folder / "other" / "maker.pem"), 6)
    foreign = gate.refused("install", file)
    older = gate.refused("install", gate.bundle(4))
    unfit = gate.refused("install", gate.bundle(7, encoder_tflite=SHIPPED.read_bytes()))
    untested = gate.refused("install", gate.bundle(8, selftest_json=b"[]"))
    kinds = [each["kind"] for each in (foreign, older, unfit, untested)]
    assert kinds == ["ForeignBundle", "OlderBundle", "UnfitBundle", "BundleError"]
    everything = {error for _, error in sentences.values()}
    everything |= {each["error"] for each in (foreign, older, unfit, untested)}
    assert len(everything) == 9
    assert all(":" in error or ";" in error for error in everything)


@pytest.mark.slow
def test_who_would_be_lost_is_named_and_keeps_the_bundle_out(gate: Gate) -> None:
    gate.enroll(*VOICES)
    code, said = gate("bundle", "install", gate.bundle())
    assert code == 4
    assert said[0] == {"again": {"anning": ["voice"], "bowen": ["voice"]}}
    assert "2 students would have to be enrolled again" in said[-1]["error"]
    assert gate.encoder == Encoder().identity

    installed = gate.install(gate.bundle(), "--without-them", "--trial", "0")
    assert installed["again"] == {"anning": ["voice"], "bowen": ["voice"]}
    assert gate.encoder != Encoder().identity
    assert gate("listen", RECORDINGS / "bowen" / "phrase-6.mp3")[0] == 4  # nobody is known
    gate.enroll("bowen")
    assert gate.listen("bowen") == "bowen"


@pytest.mark.slow
def test_a_school_is_heard_again_and_either_encoder_knows_it(gate: Gate) -> None:
    gate.enroll(*VOICES)
    before = calibration_path(gate.folder / "gallery.sqlite").read_bytes()
    # The folder may be laid out by others: recordings are known by what is in them.
    moved = gate.folder / "kept" / "2026"
    shutil.copytree(RECORDINGS, moved)
    (moved / "anning").rename(moved / "zoe")
    installed = gate.install(gate.bundle(), "--from", moved, "--trial", "0")
    assert (installed["students"], installed["again"]) == (2, {})
    assert gate.encoder != Encoder().identity
    assert [gate.listen(voice) for voice in (*VOICES, "ruifeng")] == [*VOICES, None]
    assert gate("students", "--remove", "anning")[0] == 0
    assert gate.listen("anning") is None

    code, (back,) = gate("bundle", "rollback")
    assert (code, back["again"]) == (0, {})
    assert gate.encoder == Encoder().identity
    assert [gate.listen(voice) for voice in VOICES] == [None, "bowen"]
    # One student fewer of two, so it was calibrated anew.
    assert calibration_path(gate.folder / "gallery.sqlite").read_bytes() != before


def test_a_bundle_that_is_given_again_goes_on_where_it_was(gate: Gate) -> None:
    gate.enroll("anning")
    file = gate.bundle()  # made once: another one made a second later is another one
    assert gate.install(file, "--from", RECORDINGS, "--trial", "0")["students"] == 1
    state = Installation.open(Settings.read(gate.config)).state
    assert gate.install(file, "--from", RECORDINGS)["active"]
    assert Installation.open(Settings.read(gate.config)).state == state


@pytest.mark.slow
def test_a_damaged_bundle_is_repaired_by_installing_it_again(gate: Gate) -> None:
    gate.enroll("anning")
    file = gate.bundle()
    gate.install(file, "--from", RECORDINGS, "--trial", "0")
    (gate.folder / "bundles" / "a" / "phrase.tflite").write_bytes(b"x")
    code, said = gate("listen", RECORDINGS / "anning" / "phrase-6.mp3")
    assert code == 4 and said[-1]["kind"] == "ForgedBundle"
    assert "or go back with 'kaimen bundle rollback'" in said[-1]["error"]
    assert gate.install(file)["active"]
    assert gate.listen("anning") == "anning"
    # A later one will do as well.
    (gate.folder / "bundles" / "b" / "phrase.tflite").write_bytes(b"x")
    gate.install(gate.bundle(3), "--trial", "0")
    assert gate.listen("anning") == "anning"


def test_who_was_enrolled_since_is_named_on_the_way_back(gate: Gate) -> None:
    gate.enroll("anning")
    gate.install(gate.bundle(), "--from", RECORDINGS, "--trial", "0")
    gate.enroll("bowen")
    assert gate.listen("bowen") == "bowen"
    assert gate("bundle", "rollback")[1][0]["again"] == {"bowen": ["voice"]}


@pytest.mark.slow
def test_a_door_that_would_be_disarmed_keeps_the_bundle_out(gate: Gate) -> None:
    gate.enroll(*VOICES)
    file = gate.bundle()
    refusal = gate.refused("install", file, "--from", RECORDINGS, "--fpir", "0.0000001")
    assert refusal["kind"] == "UnfitBundle" and "could not be armed" in refusal["error"]
    assert gate.listen("bowen") == "bowen"


@pytest.mark.slow
def test_what_no_slot_holds_is_forgotten(gate: Gate) -> None:
    gate.enroll("anning")
    registry = gate.folder / "gallery.sqlite"
    versions = {
        number: {
            "encoder_tflite": SHIPPED.read_bytes() + bytes(number),
            "encoder_json": card_of(SHIPPED.read_bytes() + bytes(number)),
        }
        for number in (2, 3, 4)
    }
    for number, changed in versions.items():
        file = gate.bundle(number, **changed)
        gate.install(file, "--from", RECORDINGS, "--trial", "0")
    # What ships, and two slots.
    assert len(index_paths(registry)) == 3
    assert len(list(gate.folder.rglob("*.calibration.json"))) == 3


def test_a_gate_whose_settings_name_an_encoder_takes_no_bundle(gate: Gate) -> None:
    file = gate.bundle()
    gate.config.write_text(gate.config.read_text() + f'[encoder]\npath = "{SHIPPED}"\n')
    code, said = gate("bundle", "install", file)
    assert code == 2 and "take it out of the settings" in said[-1]["error"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["make"], "name the file"),
        (["install"], "name the file"),
        (["make", "x.kaimen"], "needs --key FILE and --version N"),
        (["make", "x.kaimen", "--version", "1", "--key", "{key}", "--fpir", "2"], "FPIR"),
        (["install", "x.kaimen", "--trial", "-1"], "--trial"),
        (["install", "x.kaimen", "--fpir", "1"], "--fpir"),
    ],
)
def test_wrong_usage_is_answered(gate: Gate, arguments: list[str], said: str) -> None:
    code, lines = gate("bundle", *[each.format(key=gate.key) for each in arguments])
    assert code == 2 and said in lines[-1]["error"]


def test_what_cannot_be_made_is_said_and_not_written(gate: Gate) -> None:
    missing = gate.folder / "missing.tflite"
    file = gate.folder / "x.kaimen"
    asked = ["make", file, "--version", "1", "--key", gate.key, "--encoder", missing]
    assert "missing.tflite: cannot be read" in gate.refused(*asked)["error"]
    (gate.folder / "odd.tflite").write_bytes(b"odd")
    (gate.folder / "odd.json").write_bytes(SHIPPED.with_suffix(".json").read_bytes())
    asked[-1] = gate.folder / "odd.tflite"
    assert "not the file its card describes" in gate.refused(*asked)["error"]
    assert not file.exists()


def test_a_person_sees_tables(gate: Gate) -> None:
    file = gate.bundle()
    config = ["--config", str(gate.config)]
    assert main(["bundle", "inspect", str(file), *config]) == 0
    assert main(["bundle", "install", str(file), *config]) == 0
    assert main(["bundle", "inspect", *config]) == 0
    assert main(["bundle", "rollback", *config]) == 0
    said = gate.capsys.readouterr()
    assert "encoder.tflite" in said.out and "second, version 2, is active" in said.out
    assert "active again: what ships" in said.out and "self-test is passed" in said.err


# The gate itself


@pytest.fixture
def day(tmp_path: Path) -> Callable[..., Path]:
    """A recording of voices at the gate, one after the other, with time between them."""

    def played(*voices: str) -> Path:
        parts = [silence(0.5)]
        for voice in voices:
            parts += [read(RECORDINGS / voice / "phrase-6.mp3"), silence(1.0)]
        path = tmp_path / "day.wav"
        soundfile.write(path, in_a_room(*parts, silence(2.5)), SAMPLE_RATE)
        return path

    return played


@pytest.mark.slow
@pytest.mark.parametrize("number", range(4, 110, 7))
def test_wherever_the_plug_is_pulled_the_school_is_known(
    gate: Gate, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.enroll(*VOICES)
    file = gate.bundle()
    with monkeypatch.context() as patch, contextlib.suppress(Pulled):
        pulled_at(number, patch)
        gate("bundle", "install", file, "--from", RECORDINGS, "--trial", "0")
    gate.capsys.readouterr()
    assert [gate.listen(voice) for voice in (*VOICES, "ruifeng")] == [*VOICES, None]
    gate.install(file, "--from", RECORDINGS, "--trial", "0")
    assert gate.encoder != Encoder().identity
    assert [gate.listen(voice) for voice in (*VOICES, "ruifeng")] == [*VOICES, None]


@pytest.mark.slow
def test_a_running_gate_tries_the_new_one_and_takes_it_up(
    gate: Gate, day: Callable[..., Path]
) -> None:
    gate.enroll(*VOICES)
    installed = gate.install(gate.bundle(), "--from", RECORDINGS, "--trial", "4")
    assert (installed["active"], installed["trial"]) == (False, 4)
    assert gate.encoder == Encoder().identity
    code, said = gate("run", "--play", day("anning", "bowen"))
    assert code == 0
    assert [line["student"] for line in said if "verdict" in line] == ["anning", "bowen"]
    assert gate("bundle", "inspect")[1][0]["left"] == 2  # it goes on tomorrow

    assert gate("run", "--play", day("bowen", "ruifeng"))[0] == 0
    # Four decisions, and of the three who were let in nothing is concluded yet.
    assert gate("bundle", "inspect")[1][0]["left"] == 0
    assert gate.encoder == Encoder().identity
    code, said = gate("run", "--play", day("anning"))
    (note,) = [line["note"] for line in said if "active from now on" in line.get("note", "")]
    assert note.endswith("it opened for 4 of 4 phrases that were let in")
    assert gate.encoder != Encoder().identity
    assert gate.listen("bowen") == "bowen"
    events = [line.get("event") for line in gate("audit", "export")[1]]
    assert note in events
    assert gate("audit", "verify")[0] == 0


@pytest.mark.slow
def test_a_new_one_that_lets_fewer_in_is_not_taken_over(
    gate: Gate, day: Callable[..., Path]
) -> None:
    gate.enroll(*VOICES)
    bundle = gate.bundle()
    identity = gate.install(bundle, "--from", RECORDINGS, "--trial", "2")["identity"]
    path = calibration_path(gate.folder / "gallery.sqlite", identity)
    vault = Vault.load(gate.folder / "key")
    kept = Calibration.load(path, vault)
    replace(kept, threshold=0.999, first_threshold=0.999, both_threshold=0.999).save(path, vault)
    code, said = gate("run", "--play", day("anning", "bowen"))
    assert code == 0
    (note,) = [line["note"] for line in said if "not taken over" in line.get("note", "")]
    assert "it opened for 0 of 2 phrases that were let in" in note
    assert gate.encoder == Encoder().identity
    assert gate("bundle", "inspect")[1][0]["last_trial"] == note


@pytest.mark.slow
def test_who_was_enrolled_during_the_trial_is_not_lost_by_it(
    gate: Gate, day: Callable[..., Path]
) -> None:
    gate.enroll("anning")
    gate.install(gate.bundle(), "--from", RECORDINGS, "--trial", "1")
    gate.enroll("bowen")
    code, said = gate("run", "--play", day("anning"))
    assert code == 0
    (note,) = [line["note"] for line in said if "not taken over" in line.get("note", "")]
    assert "install it again, with --from" in note
    assert gate.listen("bowen") == "bowen"
