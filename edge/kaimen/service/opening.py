"""From settings to what a gate needs, opened once and kept until other settings take over."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from time import sleep

from kaimen import systemd
from kaimen.access.lockout import Lockout, UnknownVoices
from kaimen.bundle.slots import SlotsState
from kaimen.errors import DeviceError, KaimenError, SettingsError
from kaimen.installation import Installation
from kaimen.privacy.erasing import go_on
from kaimen.screen import Screen
from kaimen.service.options import ServiceOptions
from kaimen.settings import Settings

RETRY = 5.0  # seconds between tries to begin, whatever keeps the gate from it


@dataclass(frozen=True, slots=True)
class Ready:
    """What a gate needs, read and found to fit together."""

    installation: Installation
    calibrated: Path  # where that is kept
    state: SlotsState  # of the bundles, before anything was read
    lockout: Lockout


def opened(options: ServiceOptions, screen: Screen, tries: UnknownVoices | None = None) -> Ready:
    """Read and open everything; ``tries`` are those of a lockout before this one."""
    with ExitStack() as stack:
        installation = Installation.open(Settings.read(options.config), screen)
        stack.enter_context(installation)
        state, _ = installation.state, installation.gallery
        if not installation.settings.reader.pin:  # a card and a PIN need no calibration
            _ = installation.arming.calibration
        try:
            go_on(installation)
        except KaimenError as error:  # whoever else is enrolled is let in all the same
            screen.note(f"{error}; an erasure is not finished")
        settings = installation.settings.gate
        lockout = Lockout(
            free=settings.free_tries,
            first=settings.lockout,
            tries=tries,
            path=installation.lockout_path,
            say=screen.note,
        )
        ready = Ready(installation, installation.arming.path, state, lockout)
        stack.pop_all()  # it stays open
        return ready


def opened_as_soon_as_possible(options: ServiceOptions, screen: Screen) -> Ready:
    """Return the same; with ``wait``, try until it can be: a school is there, a disk is free.

    Not modification times but a timer says when to try: permissions and full disks have none.
    """
    said = ""
    while True:
        try:
            return opened(options, screen)
        except Exception as error:  # whatever it was: it may be mended
            if not options.wait or isinstance(error, SettingsError):
                raise
            reason = reason_of(error)
        if reason != said:
            said = reason
            screen.note(f"{reason}; the door stays shut until then")
        # The start is over and each try proves it alive; how it is, the status says.
        systemd.notify("READY=1", f"STATUS=the door stays shut: {reason}", "WATCHDOG=1")
        sleep(RETRY)


def pass_on(before: Installation, after: Installation) -> None:
    """Keep the door open, so that no lease is cut; one by other settings takes over at rest."""
    if before.settings.door == after.settings.door:
        before.hand_over("door", after)
    else:
        with suppress(DeviceError):
            before.door.wait_for_rest(before.settings.door.lease + 1)


def reason_of(error: Exception) -> str:
    """Return what went wrong, with its kind where it is no error of Kaimen's own."""
    return str(error) if isinstance(error, KaimenError) else f"{type(error).__name__}: {error}"
