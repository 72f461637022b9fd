"""``kaimen bridge`` as a process: begun, killed, and told what it may not do."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kaimen.audit import Audit
from kaimen.bridge.card_format import packed, read_of
from kaimen.bridge.mqtt import WANTED
from kaimen.cli.main import main
from kaimen.registry.vault import Vault
from tests.bridge.gates import ENOUGH, LoggedGate, free_port, mosquitto, needs_mosquitto, soon
from tests.bridge.panels import BAUD, SECURE, AccessPanel, Line
from tests.bridge.test_mqtt import Subscriber
from tests.door.bench import served_door

STUDENTS = 200


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "kaimen.toml"
    path.write_text(
        f'[gallery]\npath = "{tmp_path}/gallery.sqlite"\nkey = "{tmp_path}/gallery.key"\n',
        encoding="utf-8",
    )
    Vault().save(tmp_path / "gallery.key")
    return path


def configured(config: Path, text: str) -> Path:
    config.write_text(config.read_text(encoding="utf-8") + text, encoding="utf-8")
    return config


def key_written(config: Path) -> None:
    assert main(["bridge", "--write-key", "--config", str(config)]) == 0


@contextlib.contextmanager
def process(config: Path) -> Iterator[subprocess.Popen[str]]:
    """Run it; the end of the block kills it, as a pulled plug does."""
    command = [sys.executable, "-m", "kaimen.cli.main", "bridge", "--config", str(config)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield running
    finally:
        running.kill()
        running.communicate(timeout=ENOUGH)


def test_without_its_key_it_says_how_to_make_one(
    config: Path, capsys: pytest.CaptureFixture
) -> None:
    configured(config, "[bridge.metrics]\nport = 9100\n")
    assert main(["bridge", "--config", str(config)]) == 2
    assert "kaimen bridge --write-key" in capsys.readouterr().err


def test_with_nothing_configured_it_says_what_can_be(
    config: Path, capsys: pytest.CaptureFixture
) -> None:
    key_written(config)
    assert main(["bridge", "--config", str(config)]) == 2
    assert "configure [bridge.mqtt]" in capsys.readouterr().err


def test_the_key_is_the_logs_alone_and_for_its_owner(config: Path, tmp_path: Path) -> None:
    key_written(config)
    kept = tmp_path / "bridge.key"
    vault = Vault.load(tmp_path / "gallery.key")
    assert bytes.fromhex(kept.read_text(encoding="ascii")) == vault.derive("audit")
    assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "xyz", "00" * 31])
def test_a_key_that_is_none_is_named(
    config: Path, tmp_path: Path, content: str, capsys: pytest.CaptureFixture
) -> None:
    configured(config, "[bridge.metrics]\nport = 9100\n")
    (tmp_path / "bridge.key").write_text(content, encoding="ascii")
    assert main(["bridge", "--config", str(config)]) == 2
    assert "no key" in capsys.readouterr().err


@pytest.mark.slow
def test_a_bridge_that_is_killed_sends_no_read_twice_and_none_late(
    config: Path, tmp_path: Path
) -> None:
    cards = tmp_path / "cards.csv"
    cards.write_text("".join(f"s{n:04},{n}\n" for n in range(STUDENTS)), encoding="utf-8")
    secret = tmp_path / "osdp.key"
    secret.write_text(SECURE.hex(), encoding="ascii")
    secret.chmod(0o600)
    key_written(config)
    log_key = Vault.load(tmp_path / "gallery.key").derive("audit")
    chance = random.Random(7)
    panels: list[AccessPanel] = []
    with (
        Line() as line,
        LoggedGate(tmp_path / "other") as gate,
    ):
        gate.audit = Audit(tmp_path / "audit", log_key)
        gate.key = log_key
        gate.greet()
        configured(
            config,
            f'[bridge]\ncards = "{cards}"\n[bridge.osdp]\ndevice = "{line.gate}"\n'
            f'baud = {BAUD}\nkey = "{secret}"\n',
        )

        def run(seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
            end = time.monotonic() + seconds
            while time.monotonic() < end and not until():
                line.carry()
                panels[-1].turn()
                time.sleep(0.002)
            return until()

        for student in range(0, 30, 2):
            gate.decide("open", f"s{student:04}")  # nobody hears it: the bridge does not run
            with process(config):
                panels.append(AccessPanel(line.panel))  # the one of before was killed, too
                assert run(ENOUGH, lambda: panels[-1].online)
                gate.door(f"fault tamper {'on' if student % 4 else 'off'}")
                gate.decide("open", f"s{student + 1:04}")
                if student % 6:
                    run(chance.uniform(0, 0.6))  # killed at any moment
                else:
                    run(20, lambda: bool(panels[-1].reads))  # and some not before a read came
            panels[-1].close()
            line.cut = chance.random() < 0.3
            line.carry()
            line.cut = False
        gate.door("fault tamper on")
        with process(config), AccessPanel(line.panel) as panel:
            panels.append(panel)
            assert run(ENOUGH, lambda: panel.reports[-1:] == [1])
        got = [each for panel in panels for each in panel.reads]
        gate.audit.close()
    allowed = [packed(read_of(n, facility=0, bits=26)) for n in range(1, 30, 2)]
    assert len(got) == len(set(got)) and set(got) <= set(allowed)
    assert len(got) > 3


@pytest.mark.slow
@needs_mosquitto
def test_a_command_that_waited_while_the_bridge_was_stopped_opens_nothing(
    config: Path, tmp_path: Path
) -> None:
    key_written(config)
    port, path = free_port(), tmp_path / "door"
    configured(
        config,
        f'[door]\nmock = true\nsocket = "{path}"\n[bridge.mqtt]\nhost = "127.0.0.1"\n'
        f"port = {port}\nunlock = true\n",
    )
    served = served_door(path, lease=0.3)
    with mosquitto(tmp_path, port), served as door, process(config) as running:
        subscriber = Subscriber(port)

        def opened() -> bool:
            return "opened by hand" in [str(each) for each in door.events()]

        def unlock() -> bool:
            before = len(subscriber.came)
            subscriber.client.publish("kaimen/gate/command", "UNLOCK")
            # The broker has passed it on.
            soon(lambda: ("kaimen/gate/command", "UNLOCK") in subscriber.came[before:])
            return False

        soon(lambda: "homeassistant/lock/kaimen_gate/door/config" in subscriber.now)
        running.send_signal(signal.SIGSTOP)
        os.waitpid(running.pid, os.WUNTRACED)
        unlock()
        time.sleep(WANTED + 1)
        running.send_signal(signal.SIGCONT)
        # It connects anew, so that nothing is left that waited.
        soon(lambda: ("kaimen/gate/available", "offline") in subscriber.came)
        soon(lambda: subscriber.now["kaimen/gate/available"] == "online")
        assert not opened()
        soon(lambda: unlock() or opened())
        subscriber.close()


def test_it_ends_in_order_when_it_is_told_to(config: Path) -> None:
    key_written(config)
    configured(config, "[bridge.mqtt]\nhost = '127.0.0.1'\nport = 1\n")
    with process(config) as running:
        assert running.stderr is not None
        assert "the bridge runs" in running.stderr.readline()
        assert "cannot be used" in running.stderr.readline()  # the broker, and it goes on
        running.send_signal(signal.SIGTERM)
        assert running.wait(ENOUGH) == 0
