"""The parts of a gate, opened from its settings once, for every command."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from kaimen.access.checks import Checks
from kaimen.audit import Audit, write_waiting
from kaimen.bundle.signing import Trusted
from kaimen.bundle.slots import Slots, SlotsState
from kaimen.closing import Closing
from kaimen.door.board import on_a_pi
from kaimen.door.client import Door
from kaimen.door.pins import pins_of
from kaimen.door.relay import Relay
from kaimen.errors import GalleryError, StorageError
from kaimen.gallery.gallery import Gallery
from kaimen.installation.arming import Arming
from kaimen.registry.accounts_file import accounts_path
from kaimen.registry.enrolled import enrolled
from kaimen.registry.kept_phrases import KeptPhrases, kept_phrases_path
from kaimen.registry.registry import Registry
from kaimen.registry.replay_memory import ReplayMemory, replay_memory_path
from kaimen.registry.vault import Vault
from kaimen.school.files import SchoolFiles
from kaimen.school.placing import settle
from kaimen.screen import Screen
from kaimen.settings import ChecksSettings, Settings
from kaimen.voice.encoder import Encoder
from kaimen.voice.models import Models, detector_of, phrase_of

TOLD_AT_ONCE = 100  # events that are brought into the log before they are struck off

Part = TypeVar("Part")


class Installation(Closing):
    """A gate's parts by its settings; each is opened when it is first asked for.

    Closing the installation closes its parts, the latest first. A part that was closed is opened
    anew when it is asked for again.
    """

    def __init__(self, settings: Settings, screen: Screen) -> None:
        self.settings = settings
        self._screen = screen
        self._closers: dict[str, Callable[[], None]] = {}  # by part, in the order of opening

    @classmethod
    def open(cls, settings: Settings, screen: Screen | None = None) -> Installation:
        """Return the installation of these settings; ``screen`` shows what an operator should know.

        No part is opened yet, so nothing is raised.
        """
        return cls(settings, Screen(as_json=False) if screen is None else screen)

    def close(self, *parts: str) -> None:
        """Close parts by their names; all of them without one."""
        with ExitStack() as stack:
            for name in [each for each in self._closers if not parts or each in parts]:
                stack.callback(self._closers.pop(name))
                del self.__dict__[name]

    def hand_over(self, part: str, to: Installation) -> None:
        """Let another installation have a part that is open here, as it is."""
        if part in self._closers:
            to.__dict__[part] = self.__dict__.pop(part)
            to._closers[part] = self._closers.pop(part)

    def _to_close(self, name: str, part: Part, close: Callable[[], None]) -> Part:
        self._closers[name] = close
        return part

    # What the gate hears with.

    @cached_property
    def slots(self) -> Slots:
        """Return where bundles are installed."""
        settings = self.settings
        return Slots(
            settings.bundle.folder, Trusted(settings.bundle.keys), shipped=settings.encoder.shipped
        )

    @property
    def state(self) -> SlotsState:
        """Return which bundles are installed now; none where the settings name an encoder.

        Raises BundleError.
        """
        return SlotsState() if self.settings.encoder.path else self.slots.state()

    @property
    def encoder_path(self) -> Path:
        """Return where the encoder is: named, of the active bundle, or the model that comes along.

        Raises BundleError for a bundle that was changed since it was installed.
        """
        named = self.settings.encoder.path
        return Path(named) if named else self.slots.encoder()

    @cached_property
    def encoder(self) -> Encoder:
        """Return the encoder. Raises EncoderError and BundleError."""
        return Encoder(self.encoder_path, runtime=self.settings.encoder.runtime or None)

    @property
    def model(self) -> str:
        """Return which model that comes along is the gate's; empty for a named or a bundle's."""
        settings = self.settings.encoder
        return settings.model if self.encoder.path == settings.shipped else ""

    @cached_property
    def models(self) -> Models:
        """Return the encoder, and the models of the checks that the settings ask for."""
        return models_of(self.settings.checks, self.encoder)

    # Who is enrolled.

    @cached_property
    def school(self) -> SchoolFiles:
        """Return the pieces of the school, once whatever was interrupted is finished or undone.

        Everything that opens the gallery or its log comes through here. Raises GalleryError and
        StorageError.
        """
        school = SchoolFiles.of(self.settings.gallery)
        settle(school)
        return school

    @cached_property
    def vault(self) -> Vault:
        """Read the key, once: its file may lie on a stick that was pulled. Raises GalleryError."""
        return self.school.vault

    @property
    def vault_or_new(self) -> Vault:
        """Return the key, made where neither it nor a registry is there. Raises GalleryError."""
        school = self.school
        if not school.registry.exists() and not school.key.exists():
            Vault().save(school.key)
        return self.vault

    @property
    def has_registry(self) -> bool:
        """Return whether anybody was ever enrolled."""
        return self.school.registry.exists()

    @cached_property
    def registry(self) -> Registry:
        """Return the registry. Raises GalleryError where there is none."""
        self._require_registry()
        registry = Registry(self.school.registry, self.vault)
        return self._to_close("registry", registry, registry.close)

    @cached_property
    def gallery(self) -> Gallery:
        """Return the gallery. Raises GalleryError where there is none or it knows nobody."""
        self._require_registry()
        gallery = self.gallery_or_new
        others = gallery.registry.with_voice - len(gallery) - gallery.left_out
        if others > 0 and not len(gallery):
            raise GalleryError(f"{self.school.registry}: {self.made_by_another()}")
        if others > 0:
            self._screen.say(
                f"{others} students were enrolled by another encoder; enroll them again"
            )
        return self._to_close("gallery", gallery, gallery.close)

    @cached_property
    def gallery_or_new(self) -> Gallery:
        """Return the gallery, made with its key where there is none yet."""
        school, encoder = self.school, self.encoder
        gallery = Gallery.open(
            school.registry,
            self.vault_or_new,
            encoder.identity,
            encoder.card.dimension,
            say=self._screen.note,
        )
        return self._to_close("gallery_or_new", gallery, gallery.close)

    def _require_registry(self) -> None:
        if not self.has_registry:
            raise GalleryError(
                f"{self.school.registry}: no gallery there; begin with 'kaimen enroll'"
            )

    def made_by_another(self) -> str:
        """Return what is so, and what to do, where the encoder knows nobody of its gallery.

        Raises GalleryError and BundleError.
        """
        # Where an operator or a bundle names the encoder, another model would change nothing.
        shipped = self.encoder_path == self.settings.encoder.shipped
        known = enrolled(self.settings.gallery.file) if shipped else {}
        model = max(known, key=lambda name: known[name], default="")
        if not known.get(model):
            return "made by another encoder; enroll again with this one"
        return (
            f'made by the {model} encoder; set [encoder] model = "{model}", or enroll again with '
            "this one"
        )

    # What arms the door.

    @cached_property
    def arming(self) -> Arming:
        """Return the calibration: read, learned and kept."""
        return Arming(self, self._screen)

    @cached_property
    def checks(self) -> Checks:
        """Return the gate's checks; what opens it is remembered, for the next time."""
        memory = None
        if self.settings.checks.replay:
            path = replay_memory_path(self.settings.gallery.file)
            memory = ReplayMemory(path, self.vault, say=self._screen.note)
        return self._checked("checks", memory)

    @cached_property
    def forgetful_checks(self) -> Checks:
        """Return the same checks with no memory: what was enrolled is known again."""
        return self._checked("forgetful_checks", None)

    def _checked(self, name: str, memory: ReplayMemory | None) -> Checks:
        registry = Registry(self.settings.gallery.file, self.vault)
        said_by = self.models.said_by
        without = len(registry.recordings.without_words(said_by)) if said_by else 0
        if without:
            self._screen.note(
                f"{without} students were enrolled without their words: for them any words will "
                "do; enroll them again"
            )
        checks = Checks(self.models, registry, memory, replay=self.settings.checks.replay)
        return self._to_close(name, checks, checks.close)

    @property
    def kept_phrases(self) -> KeptPhrases:
        """Return what is kept for review. Raises GalleryError."""
        return KeptPhrases(kept_phrases_path(self.settings.gallery.file), self.vault)

    # What is switched, and what is written down.

    @cached_property
    def door(self) -> Door:
        """Return the door, served at a socket or by a child of this process. Raises DeviceError."""
        settings = self.settings.door
        if settings.socket:
            door = Door.connect(settings.socket)
        else:
            self._say_if_simulated()
            door = Door.start(settings)
        return self._to_close("door", door, door.close)

    @cached_property
    def relay(self) -> Relay:
        """Return the door's relay alone: real on a Pi unless mock pins are asked for."""
        settings = self.settings.door
        self._say_if_simulated()
        relay = Relay(
            settings.pin,
            pins=pins_of(settings),
            lease=settings.lease,
            active_high=settings.active_high,
        )
        return self._to_close("relay", relay, relay.close)

    def _say_if_simulated(self) -> None:
        if self.settings.door.mock or not on_a_pi():
            self._screen.say("pins are simulated: no relay is switched")

    @property
    def lockout_path(self) -> Path:
        """Return where a gate keeps how many unknown voices it heard, beside the registry."""
        return self.settings.gallery.file.with_suffix(".lockout.json")

    @property
    def pin_lockout_path(self) -> Path:
        """Return where wrong PINs are counted, beside the registry."""
        return self.settings.gallery.file.with_suffix(".pins.json")

    @property
    def certificates_folder(self) -> Path:
        """Return where certificates of erasures are kept, beside the registry."""
        return self.settings.gallery.file.parent / "certificates"

    def tell_log(self) -> None:
        """Bring into the log what commands left for it; a gate at work does it by itself."""
        with suppress(StorageError):
            while write_waiting(self.audit, self.registry.events, TOLD_AT_ONCE):
                pass
        self.close("audit")

    @property
    def accounts_path(self) -> Path:
        """Return the file of who may sign in to the console, beside the registry."""
        return accounts_path(self.settings.gallery.file)

    @property
    def acts_folder(self) -> Path:
        """Return the folder of the log of what people did at the console, beside the registry."""
        return self.settings.gallery.file.parent / "acts"

    @property
    def acts_key(self) -> bytes:
        """Return the key of that log, another than the gate's. Raises GalleryError."""
        return self.vault.acts_key

    @property
    def log_folder(self) -> Path:
        """Return the folder of the log of what the gate decides, beside the registry."""
        return self.settings.gallery.file.parent / "audit"

    @property
    def log_key(self) -> bytes:
        """Return the key of that log. Raises GalleryError."""
        return self.vault.log_key

    @cached_property
    def audit(self) -> Audit:
        """Open that log for writing. Raises GalleryError."""
        audit = Audit(self.log_folder, self.log_key, days=self.settings.privacy.keep_log)
        return self._to_close("audit", audit, audit.close)


def models_of(settings: ChecksSettings, encoder: Encoder) -> Models:
    """Return what a gate with these checks hears with. Raises EncoderError."""
    return Models(
        encoder,
        phrase_of(encoder) if settings.phrase else None,
        detector_of(encoder) if settings.loudspeaker else None,
    )
