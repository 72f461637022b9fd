"""The door as a process of its own: it owns the pins, and the voice process may only ask.

It loads neither numpy nor the encoder, so that it is small and starts fast, and so that nothing
that goes wrong with a voice can go wrong here. ``kaimen door`` starts it at a socket, and
``kaimen run`` as a child where there is none::

    python -m kaimen.door.process SETTINGS (--socket PATH | --descriptor NUMBER | --rest)

SETTINGS is the section [door] as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kaimen.door.by_hand import HandServer, hand_socket_path
from kaimen.door.controller import DoorController
from kaimen.door.pins import pins_of
from kaimen.door.protocol import Failed
from kaimen.door.rest import drive_to_rest, levels_of, levels_path, write_down
from kaimen.door.server import Server
from kaimen.errors import DeviceError, KaimenError
from kaimen.parsing import read_json
from kaimen.settings.door import DoorSettings
from kaimen.settings.section import filled


def _journal(text: str) -> None:
    """Write a line to standard error, unless whoever should read it does not: never wait."""
    ready = select.poll()
    ready.register(2, select.POLLOUT)
    if [event for _, event in ready.poll(0) if event == select.POLLOUT]:
        with contextlib.suppress(OSError):  # a full disk
            os.write(2, f"{text}\n".encode())


def _listening_by_hand(socket: Path) -> HandServer:
    """Return what is asked from the operator's desk; a door without it serves all the same."""
    try:
        return HandServer.listening(hand_socket_path(socket))
    except DeviceError as error:
        _journal(f"{error}; the door cannot be opened from the console")
        return HandServer()


@contextmanager
def _written_down(settings: DoorSettings, socket: Path | None) -> Iterator[None]:
    """Keep beside the socket what is to be driven to rest, should this process be killed."""
    if socket is None or settings.mock:
        yield
        return
    path = levels_path(socket)
    try:
        write_down(levels_of(settings), path)
    except DeviceError as error:  # the settings' pins are driven to rest still
        _journal(str(error))
    yield
    path.unlink(missing_ok=True)  # whoever ended in good order is at rest


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kaimen.door.process")
    parser.add_argument("settings", metavar="SETTINGS", type=read_json)
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--socket", type=Path, metavar="PATH")
    way.add_argument("--descriptor", type=int, metavar="NUMBER")
    way.add_argument("--rest", action="store_true")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="what mock pins do, as text")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the door until SIGTERM, SIGINT or the end of its parent; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    server: Server | None = None
    by_hand = HandServer()
    try:
        if chosen.descriptor is not None:
            server = Server.inherited(chosen.descriptor)
        settings = filled(DoorSettings(), chosen.settings, "[door]")
        pins = pins_of(settings, chosen.trace)
        if chosen.rest:
            drive_to_rest(levels_of(settings), pins=pins)
            return 0
        if server is None:
            server = Server.listening(chosen.socket)
            by_hand = _listening_by_hand(chosen.socket)
        log = _journal if chosen.socket else None
        with (
            _written_down(settings, chosen.socket),
            by_hand,
            DoorController(settings, server, pins=pins, by_hand=by_hand, log=log) as door,
        ):
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: door.stop())
            door.run()
        return 0
    except KaimenError as error:
        sys.stderr.write(f"✗ {error}\n")
        if server is not None:
            server.say(Failed(str(error)))
            server.close()
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
