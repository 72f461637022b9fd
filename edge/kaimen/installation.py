"""What several commands do alike: find recordings, load what a gate needs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from kaimen.access.checks import Checks
from kaimen.audit import Audit
from kaimen.backup.placing import settle
from kaimen.backup.school import School
from kaimen.bundle.signing import Trusted
from kaimen.bundle.slots import Slots
from kaimen.calibration.calibration import FPIR, Calibration, beside, calibrate
from kaimen.calibration.phrase_threshold import with_words
from kaimen.door.board import on_a_pi
from kaimen.door.client import Door
from kaimen.door.pins import pins_of
from kaimen.door.relay import Relay
from kaimen.enrollment.judging import Recorded
from kaimen.errors import GalleryError, RecordingError, SettingsError
from kaimen.gallery.gallery import Gallery
from kaimen.registry.enrolled import enrolled
from kaimen.registry.registry import Registry
from kaimen.registry.replay_memory import ReplayMemory, replay_memory_of
from kaimen.registry.vault import Vault
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.sound.quality import require_voice
from kaimen.sound.recording import SUFFIXES, only_phrase, read
from kaimen.voice.encoder import Encoder
from kaimen.voice.models import Models, detector_of, phrase_of
from kaimen.voice.utterance import Utterance

QUICK = 1_000  # students that are calibrated in a second or two


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings of ``--config``, or the defaults."""
    return Settings.read(arguments.config)


def load_encoder(settings: Settings) -> Encoder:
    """The encoder that the settings name. Raises EncoderError and BundleError."""
    return Encoder(encoder_of(settings), runtime=settings.encoder.runtime or None)


def encoder_of(settings: Settings) -> Path:
    """Where that is: named in the settings, of the active bundle, or the model that comes along.

    Raises BundleError for a bundle that was changed since it was installed.
    """
    return Path(settings.encoder.path) if settings.encoder.path else slots_of(settings).encoder()


def by_another(settings: Settings, encoder: Path) -> str:
    """Return what is so, and what to do, where the gate's encoder knows nobody of its gallery.

    Raises GalleryError and EncoderError.
    """
    # Where an operator or a bundle names the encoder, another model would change nothing.
    known = enrolled(settings.gallery.file) if encoder == settings.encoder.shipped else {}
    model = max(known, key=lambda name: known[name], default="")
    if not known.get(model):
        return "made by another encoder; enroll again with this one"
    return (
        f'made by the {model} encoder; set [encoder] model = "{model}", or enroll again with '
        "this one"
    )


def model_of(settings: Settings, encoder: Encoder) -> str:
    """Return which model that comes along is the gate's; empty for a named or a bundle's."""
    return settings.encoder.model if encoder.path == settings.encoder.shipped else ""


def slots_of(settings: Settings) -> Slots:
    """Where bundles are installed."""
    return Slots(
        settings.bundle.folder, Trusted(settings.bundle.keys), shipped=settings.encoder.shipped
    )


def school_of(settings: Settings) -> School:
    """The pieces of the settings' school, once whatever was interrupted is finished or undone.

    Every command that opens the gallery or its log comes through here. Raises GalleryError and
    StorageError.
    """
    school = School.of(settings.gallery)
    settle(school)
    return school


def load_gallery(settings: Settings, encoder: Encoder, screen: Screen) -> Gallery:
    """The gallery that the settings name. Raises GalleryError where there is none."""
    path = school_of(settings).registry
    if not path.exists():
        raise GalleryError(f"{path}: no gallery there; begin with 'kaimen enroll'")
    gallery = open_gallery(settings, encoder)
    others = len(gallery.registry) - len(gallery)
    if others and not len(gallery):
        raise GalleryError(f"{path}: {by_another(settings, encoder.path)}")
    if others:
        screen.say(f"{others} students were enrolled by another encoder; enroll them again")
    return gallery


def open_gallery(settings: Settings, encoder: Encoder) -> Gallery:
    """The gallery that the settings name, made with its key where there is none yet."""
    school = school_of(settings)
    if not school.registry.exists() and not school.key.exists():
        Vault().save(school.key)
    return Gallery.open(school.registry, school.vault, encoder.identity, encoder.card.dimension)


def calibrate_anew(
    settings: Settings,
    gallery: Gallery,
    encoder: Encoder,
    screen: Screen,
    fpir: float | None = None,
) -> Calibration:
    """Calibrate and keep it; for the FPIR it was last calibrated for unless another is given."""
    path = calibration_of(settings)
    if fpir is None:
        try:
            fpir = Calibration.load(path).fpir
        except GalleryError:
            fpir = FPIR
    learned = calibrate(gallery, encoder.card, fpir, screen.progress)
    learned = with_words(learned, gallery.registry, phrase_of(encoder))
    learned.save(path)
    return learned


def calibrate_if_quick(
    settings: Settings, gallery: Gallery, encoder: Encoder, screen: Screen
) -> Calibration | None:
    """Calibrate where that takes no time; otherwise say how, and None."""
    if 0 < len(gallery) <= QUICK:
        return calibrate_anew(settings, gallery, encoder, screen)
    screen.say("the door is armed again after 'kaimen calibrate'")
    return None


def models_of(settings: Settings, encoder: Encoder) -> Models:
    """What the settings' gate hears with."""
    return Models(
        encoder,
        phrase_of(encoder) if settings.checks.phrase else None,
        detector_of(encoder) if settings.checks.loudspeaker else None,
    )


def checks_of(
    settings: Settings, encoder: Encoder, gallery: Gallery, screen: Screen, *, remember: bool
) -> Checks:
    """The checks of the settings' gate; ``remember`` what opens it, for the next time."""
    models = models_of(settings, encoder)
    path, vault = settings.gallery.file, gallery.registry.vault
    registry = Registry(path, vault)
    without = len(registry.without_words(models.said_by)) if models.phrase else 0
    if without:
        screen.note(
            f"{without} students were enrolled without their words: for them any words will do; "
            "enroll them again"
        )
    memory = (
        ReplayMemory(replay_memory_of(path), vault) if remember and settings.checks.replay else None
    )
    return Checks(models, registry, memory, replay=settings.checks.replay)


def arming(settings: Settings, gallery: Gallery) -> Calibration:
    """The calibration that a door may be armed by. Raises GalleryError with what to do."""
    kept = Calibration.load(calibration_of(settings))
    kept.require(gallery)
    return kept


def calibration_of(settings: Settings) -> Path:
    """Where the calibration is kept: each bundle has its own. Raises BundleError."""
    bundle = "" if settings.encoder.path else slots_of(settings).state().identity
    return beside(settings.gallery.file, bundle)


def relay_of(settings: Settings, screen: Screen) -> Relay:
    """The door's relay: real on a Pi unless mock pins are asked for."""
    door = settings.door
    if door.mock or not on_a_pi():
        screen.say("pins are simulated: no relay is switched")
    return Relay(
        door.pin,
        pins=pins_of(door),
        lease=door.lease,
        active_high=door.active_high,
    )


def door_of(settings: Settings, screen: Screen) -> Door:
    """The door: the one that serves a socket, or a child of this process. Raises DeviceError."""
    if settings.door.socket:
        return Door.connect(settings.door.socket)
    if settings.door.mock or not on_a_pi():
        screen.say("pins are simulated: no relay is switched")
    return Door.start(settings.door)


def audit_of(settings: Settings) -> Audit:
    """The log of what the gate decides, beside the registry. Raises GalleryError."""
    return Audit(log_of(settings), log_key(settings))


def log_of(settings: Settings) -> Path:
    """The folder of that log."""
    return settings.gallery.file.parent / "audit"


def log_key(settings: Settings) -> bytes:
    """The key of that log. Raises GalleryError."""
    return school_of(settings).log_key


def recorded(models: Models, path: Path) -> Recorded:
    """What is made of a recording that enrolls somebody: it must hold a voice.

    Raises RecordingError with the path.
    """
    try:
        phrase = only_phrase(read(path)).samples
        require_voice(phrase)
        heard = Utterance(phrase, models.encoder)
        return Recorded(heard.voiceprint, models.evidence(heard))
    except RecordingError as error:
        raise error.at(path) from None


def usable(models: Models, paths: Sequence[Path], screen: Screen) -> list[Recorded]:
    """The recordings that can be used; what is wrong with the others is said."""
    found: list[Recorded] = []
    for path in paths:
        try:
            found.append(recorded(models, path))
        except RecordingError as error:
            screen.error(error)
    return found


def recordings_in(folder: Path) -> dict[str, list[Path]]:
    """Recordings by student of a folder laid out as student/recording.(wav|flac|mp3).

    Raises SettingsError for a folder that cannot be read or holds none.
    """
    try:
        students = sorted(each for each in folder.iterdir() if each.is_dir())
        found = {each.name: _sound_files(each) for each in students}
    except OSError as error:
        raise SettingsError(
            f"{error.filename}: the folder cannot be read ({error.strerror})"
        ) from None
    found = {name: files for name, files in found.items() if files}
    if not found:
        raise SettingsError(f"{folder}: no student/recording{SUFFIXES[-1]} in it; see --help")
    return found


def _sound_files(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.suffix.lower() in SUFFIXES)
