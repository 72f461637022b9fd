"""The gate's microphone: which it is, and to whom it is lent."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from kaimen.errors import DeviceError
from kaimen.gate.daemon import Listener
from kaimen.gate.loan import Lender, loan_path
from kaimen.installation import Installation
from kaimen.screen import Screen
from kaimen.service.options import ServiceOptions
from kaimen.settings.sound import SoundSettings
from kaimen.sound.microphone import Microphone
from kaimen.sound.played import Played


def finder(options: ServiceOptions, settings: SoundSettings) -> Callable[[], Listener]:
    """Return what finds the microphone, or the recording in its place."""
    if options.play:
        played = Played.open(options.play)
        return lambda: played
    name = options.microphone or settings.microphone or None
    return lambda: Microphone(name)


def lender(stack: ExitStack, installation: Installation, screen: Screen) -> Lender | None:
    """Return who lends the microphone; a gate that cannot lend it opens all the same."""
    try:
        path = loan_path(installation.settings.gallery.file)
        return stack.enter_context(Lender(path, installation.door.show))
    except DeviceError as error:
        screen.note(str(error))
        return None
