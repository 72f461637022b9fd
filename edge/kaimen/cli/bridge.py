"""``kaimen bridge``: what the gate says to other systems, until stopped."""

from __future__ import annotations

import argparse
import threading

from kaimen.bridge.adapters import adapters_of
from kaimen.bridge.source import GateLog, write_key
from kaimen.cli.options import add_flag
from kaimen.errors import SettingsError
from kaimen.gate.supervisor import Supervisor
from kaimen.installation import Installation
from kaimen.interrupt import told_to_end
from kaimen.output import best_effort
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.systemd import notify

EXAMPLE = """example:
  kaimen bridge --write-key                      (once, as the gate's own user)
  kaimen bridge --config /etc/kaimen/kaimen.toml

It runs what is configured under [bridge.mqtt], [bridge.osdp], [bridge.wiegand], [bridge.webhook],
[bridge.metrics] and [bridge.notify]. It reads the gate's log alone, and opens nothing by itself."""

LOOK = 1.0  # seconds between two looks at the threads


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_flag(parser, "--write-key", "keep the log's key where the bridge finds it, and end")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Serve until SIGINT or SIGTERM."""
    settings = Settings.read(arguments.config)
    key_file = settings.bridge.key_file(settings.gallery.key_file)
    with Installation.open(settings, screen) as installation:
        folder = installation.log_folder
        if arguments.write_key:
            write_key(key_file, installation.log_key)
            screen.say(f"the log's key is kept in {key_file}")
            return 0
    stop = told_to_end()
    with best_effort():
        log = GateLog.of(settings.bridge, folder, settings.gallery.key_file)
        _serve(settings, log, stop, screen)
    return 0


def _serve(settings: Settings, source: GateLog, stop: threading.Event, screen: Screen) -> None:
    with Supervisor() as supervisor:
        adapters = adapters_of(settings, source, supervisor.say)
        if not adapters:
            raise SettingsError(
                "nothing is to be told to anybody; configure [bridge.mqtt], [bridge.osdp], "
                "[bridge.wiegand], [bridge.webhook], [bridge.metrics] or [bridge.notify]"
            )
        for each in adapters:
            supervisor.start(each.name, each.run, patience=each.patience)
        notify("READY=1")
        screen.say(f"the bridge runs: {', '.join(each.name for each in adapters)}")
        while not stop.wait(LOOK):
            for text in supervisor.events():
                screen.note(text)
            unwell = supervisor.unwell()
            # A thread that ended is begun again; only one that hangs is worth a new process.
            notify(f"STATUS={unwell or 'well'}", *([] if "hangs" in unwell else ["WATCHDOG=1"]))
        notify("STOPPING=1")
