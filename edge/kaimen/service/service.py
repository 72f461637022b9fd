"""A gate for years: opened, served, and opened anew whenever its settings are to be read again."""

from __future__ import annotations

import signal
from dataclasses import replace

from kaimen import systemd
from kaimen.gate.daemon import Reloaded
from kaimen.screen import Screen
from kaimen.service.opening import Ready, opened, opened_as_soon_as_possible, pass_on, reason_of
from kaimen.service.options import ServiceOptions
from kaimen.service.serving import serve


def run_service(options: ServiceOptions, screen: Screen) -> None:
    """Listen until SIGINT or SIGTERM; the relay is off before this returns."""
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell's background ignores the latter
        signal.signal(number, signal.default_int_handler)
    try:
        ready = opened_as_soon_as_possible(options, screen)
    except KeyboardInterrupt:
        return  # nothing was begun
    try:
        while True:
            try:
                serve(ready, options, screen)
                return
            except Reloaded:
                systemd.notify("RELOADING=1")
            ready = _reopened(ready, options, screen)
    finally:
        ready.installation.close()


def _reopened(before: Ready, options: ServiceOptions, screen: Screen) -> Ready:
    """Return what the settings say now, or what served until now where they cannot be used."""
    try:
        ready = opened(options, screen, before.lockout.tries)
    except Exception as error:  # whatever it was: the gate that served goes on
        screen.note(f"{reason_of(error)}; the old settings stay")
        return replace(before, state=before.installation.state)
    pass_on(before.installation, ready.installation)
    before.installation.close()
    return ready
