"""A gate as a reader at libosdp's own control panel: each read once or never, and never late."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import osdp
import pytest

from kaimen.bridge.card_format import packed, read_of
from kaimen.bridge.osdp import CardRead, OsdpBridge, Reader
from kaimen.bridge.serial_line import SerialLine
from kaimen.closing import Closing
from kaimen.errors import DeviceError, SettingsError
from kaimen.settings import DoorSettings, OsdpSettings
from tests.bridge.gates import LoggedGate, Running
from tests.bridge.panels import BAUD, SECURE, AccessPanel, Line
from tests.door.bench import served_door

LATE = 5.0  # seconds of the bench's clock
SOON = 0.5  # seconds of it, where parts are killed all the time


def read(number: int) -> bytes:
    return packed(read_of(number, facility=0, bits=26))


class Clock:
    """The time; of what a busy machine keeps this process from running, hardly any goes by."""

    def __init__(self, most: float) -> None:
        self.now = 0.0
        self._most = most  # seconds between two looks
        self._looked = time.monotonic()

    def __call__(self) -> float:
        before, self._looked = self._looked, time.monotonic()
        self.now += min(self._looked - before, self._most)
        return self.now


class Bench(Closing):
    """A reader, a line and a panel, all in this thread."""

    late = LATE
    most = 0.02

    def __init__(self, key: bytes | None = SECURE, panel_key: bytes | None = SECURE) -> None:
        self.clock = Clock(self.most)
        self.shown: list[str] = []
        self.line = Line()
        self._key, self._panel_key = key, panel_key
        self._wire: SerialLine | None = None
        self.panel: AccessPanel | None = None
        self.begin_gate()
        self.begin_panel()

    def begin_gate(self) -> None:
        if self._wire is not None:
            self._wire.close()
        self._wire = SerialLine(self.line.gate, BAUD)
        settings = OsdpSettings(device="/dev/line", baud=BAUD, plain=True, late=self.late)
        self.reader = Reader(
            settings, self._wire, self.shown.append, key=self._key, clock=self.clock
        )

    def begin_panel(self) -> None:
        if self.panel is not None:
            self.panel.close()
        self.panel = AccessPanel(self.line.panel, self._panel_key)

    def speak(self, number: int) -> None:
        bits = read_of(number, facility=0, bits=26)
        self.reader.read(CardRead(bits, self.clock() + self.late))

    def turn(self, *, gate: bool = True, panel: bool = True) -> None:
        self.line.carry()
        if gate:
            self.reader.turn()
        self.line.carry()
        if panel and self.panel:
            self.panel.turn()

    def run(
        self,
        seconds: float = 20.0,
        until: Callable[[], bool] = lambda: False,
        *,
        panel: bool = True,
    ) -> bool:
        """Go on until something is so; whether it was within these seconds."""
        end = self.clock() + seconds
        while self.clock() < end:
            if until():
                return True
            self.turn(panel=panel)
            time.sleep(0.001)
        return until()

    def ask(self, **command: Any) -> None:
        """Let the panel ask for something, once it is there."""
        assert self.run(until=lambda: self.together and self.panel.ask(**command))

    @property
    def together(self) -> bool:
        return self.reader.online and self.panel is not None and self.panel.online

    def close(self) -> None:
        if self.panel:
            self.panel.close()
        if self._wire:
            self._wire.close()
        self.line.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench() as bench:
        assert bench.run(until=lambda: bench.together)
        yield bench


def test_an_opening_is_one_card_read(bench: Bench) -> None:
    bench.speak(12345)
    bench.speak(12346)
    assert bench.run(until=lambda: len(bench.panel.reads) == 2)
    bench.run(0.3)
    assert bench.panel.reads == [read(12345), read(12346)]
    assert bench.reader.dropped == 0


def test_a_read_that_the_panel_does_not_fetch_is_dropped(bench: Bench) -> None:
    bench.speak(1)
    bench.run(0.1, panel=False)
    bench.clock.now += LATE
    bench.turn(panel=False)
    assert bench.reader.dropped == 1
    bench.run(0.5)
    bench.speak(2)
    assert bench.run(until=lambda: len(bench.panel.reads) > 0)
    assert bench.panel.reads == [read(2)]


def test_a_read_is_not_sent_by_a_bridge_that_was_stopped_meanwhile(bench: Bench) -> None:
    bench.speak(1)
    bench.turn(panel=False)  # it is handed to the line
    end = time.monotonic() + 0.2  # the bridge is stopped, and the panel asks
    while time.monotonic() < end:
        bench.turn(gate=False)
        time.sleep(0.001)
    bench.clock.now += LATE
    bench.run(0.5)
    assert bench.panel.reads == [] and bench.reader.dropped == 1


def test_a_read_waits_a_moment_for_a_panel_that_comes_back(bench: Bench) -> None:
    bench.speak(1)
    bench.run(0.1, panel=False)
    assert bench.run(LATE - 1, until=lambda: bench.panel.reads == [read(1)])


def test_a_panel_with_another_key_gets_nothing() -> None:
    with Bench(panel_key=bytes(16)) as bench:
        bench.speak(1)
        bench.run(0.8)
        bench.clock.now += LATE
        bench.run(0.3)
        assert not bench.together and bench.panel.reads == [] and bench.reader.dropped == 1


def test_a_panel_without_a_key_gets_nothing_from_a_reader_with_one() -> None:
    with Bench(panel_key=None) as bench:
        bench.speak(1)
        bench.run(0.8)
        bench.clock.now += LATE
        bench.run(0.3)
        assert bench.panel.reads == [] and bench.reader.dropped == 1


def test_without_a_secure_channel_it_works_where_that_is_asked_for() -> None:
    with Bench(key=None, panel_key=None) as bench:
        assert bench.run(until=lambda: bench.together)
        bench.speak(1)
        assert bench.run(until=lambda: bench.panel.reads == [read(1)])


def test_an_open_box_is_told_and_told_again_to_a_panel_that_begins(bench: Bench) -> None:
    bench.reader.tamper(True)
    assert bench.run(until=lambda: bench.panel.reports[-1:] == [1])
    bench.begin_panel()
    assert bench.run(until=lambda: bench.panel.reports[-1:] == [1])
    bench.begin_gate()
    bench.panel.reports.clear()
    bench.reader.tamper(True)
    assert bench.run(until=lambda: bench.panel.reports[-1:] == [1])
    bench.reader.tamper(False)
    assert bench.run(until=lambda: bench.panel.reports[-1:] == [0])


def light(colour: int, *, temporary: bool = True) -> dict[str, Any]:
    return {
        "command": osdp.Command.LED, "reader": 0, "led_number": 0, "control_code": 2,
        "on_count": 1, "off_count": 1, "on_color": colour, "off_color": 0, "timer_count": 10,
        "temporary": temporary,
    }  # fmt: skip


def test_the_panels_lights_and_sounds_are_shown_at_the_gate(bench: Bench) -> None:
    buzzer = {
        "command": osdp.Command.Buzzer, "reader": 0, "control_code": 2, "on_count": 1,
        "off_count": 1, "rep_count": 1,
    }  # fmt: skip
    colours = osdp.CommandLEDColor
    for command in (light(colours.Green), light(colours.Red), light(colours.Amber), buzzer):
        before = len(bench.shown)
        bench.ask(**command)
        assert bench.run(until=lambda before=before: len(bench.shown) > before)
    assert bench.shown == ["granted", "refused", "again", "beep"]
    bench.ask(**light(colours.Red, temporary=False))  # the light of a shut door
    bench.run(0.3)
    assert bench.run(until=lambda: bench.together) and len(bench.shown) == 4


class Tried(Bench):
    """A bench whose parts are killed, and whose panel may be told only what was said."""

    late = SOON
    most = 0.2  # the others have their turns between

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.kills = 0
        self.spoken: dict[bytes, float] = {}
        self.got: list[bytes] = []
        self.tampered = False
        self.next = 0.0
        self.cut_until = 0.0

    def step(self) -> None:
        now = self.clock()
        if now >= self.next:
            self.next = now + self.random.uniform(0.01, 0.5)
            self.act(now)
        self.line.cut = now < self.cut_until
        self.turn()
        for each in self.panel.reads:
            # Nobody else's, and none after the time in which somebody stands there.
            assert each in self.spoken and now - self.spoken[each] < SOON + 0.5
        self.got += self.panel.reads
        self.panel.reads.clear()

    def act(self, now: float) -> None:
        for _ in range(self.random.randint(0, 2)):
            number = len(self.spoken)
            self.spoken[read(number)] = now
            self.speak(number)
        if self.random.random() < 0.3:
            self.tampered = not self.tampered
            self.reader.tamper(self.tampered)
        what = self.random.choice(("gate", "panel", "line", "noise", "nothing"))
        if what == "gate":
            self.begin_gate()
            self.reader.tamper(self.tampered)
        elif what == "panel":
            self.begin_panel()
        elif what == "line":
            self.cut_until = now + self.random.uniform(0.02, 0.6)
        elif what == "noise":
            self.line.noise = self.random.randint(1, 40)
        self.kills += what not in ("nothing", "noise")


@pytest.mark.slow
def test_a_thousand_kills_bring_no_read_that_nobody_spoke_for_and_none_twice() -> None:
    benches = [Tried(seed) for seed in range(25)]
    try:
        while min(each.kills for each in benches) < 40:
            for each in benches:
                each.step()
        for each in benches:
            each.cut_until, each.next = 0.0, float("inf")
            each.panel.reports.clear()
            each.tampered = True
            each.reader.tamper(True)
        told: set[Tried] = set()
        end = time.monotonic() + 60
        while len(told) < len(benches) and time.monotonic() < end:
            for each in benches:
                each.step()
                if each.panel.reports[-1:] == [1]:
                    told.add(each)
        assert len(told) == len(benches)
        assert all(len(each.got) == len(set(each.got)) for each in benches)
        kills = sum(each.kills for each in benches)
        spoken = sum(len(each.spoken) for each in benches)
        got = sum(len(each.got) for each in benches)
        assert kills >= 1000 and got > 100
        print(f"{kills} kills, {spoken} spoke, {got} reads")
    finally:
        for each in benches:
            each.close()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[LoggedGate]:
    with LoggedGate(tmp_path / "state") as gate:
        gate.greet()
        yield gate


def bridge(
    gate: LoggedGate, line: Line, said: list[str], door: DoorSettings | None = None
) -> OsdpBridge:
    settings = OsdpSettings(device=line.gate, baud=BAUD, plain=True, late=10.0)
    return OsdpBridge(settings, door or DoorSettings(), gate.source, said.append)


class TestLog:
    """From the gate's log to the panel."""

    @pytest.fixture
    def line(self) -> Iterator[Line]:
        with Line() as line:
            yield line

    @pytest.fixture
    def panel(self, line: Line) -> Iterator[AccessPanel]:
        with AccessPanel(line.panel, None) as panel:
            yield panel

    def run(
        self, line: Line, panel: AccessPanel, until: Callable[[], bool], seconds: float = 60.0
    ) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            line.carry()
            panel.turn()
            time.sleep(0.002)
        return until()

    def test_only_openings_are_told_and_only_what_is_new(
        self, gate: LoggedGate, line: Line, panel: AccessPanel
    ) -> None:
        said: list[str] = []
        gate.decide("open", "李雷")
        with Running(bridge(gate, line, said)):
            assert self.run(line, panel, lambda: panel.online)
            gate.decide("unknown")
            gate.decide("refused", None)
            gate.decide("open", "nobody's card")
            gate.behind = 60.0
            gate.decide("open", "李雷")
            gate.behind = 0.0
            tries, fetched = 0, False
            while not fetched and tries < 4:  # what is on its way is lost where a talk breaks off
                gate.decide("open", "s0002")
                tries += 1
                fetched = self.run(line, panel, lambda: len(panel.reads) > 0, 15.0)
            self.run(line, panel, lambda: False, 0.5)
        assert set(panel.reads) == {read(65535)} and len(panel.reads) <= tries
        assert any("has no card" in each for each in said)

    def test_the_box_that_was_open_before_is_told(
        self, gate: LoggedGate, line: Line, panel: AccessPanel
    ) -> None:
        gate.door("fault tamper on")
        with Running(bridge(gate, line, [])):
            assert self.run(line, panel, lambda: panel.reports[-1:] == [1])
            gate.door("fault tamper off")
            assert self.run(line, panel, lambda: panel.reports[-1:] == [0])

    def test_a_panels_light_reaches_the_door(
        self, gate: LoggedGate, line: Line, panel: AccessPanel, tmp_path: Path
    ) -> None:
        trace = tmp_path / "trace"
        path = tmp_path / "door"
        settings = DoorSettings(socket=str(path), green=20, red=21)
        with (
            served_door(path, "--trace", str(trace), green=20, red=21) as door,
            Running(bridge(gate, line, [], settings)),
        ):
            assert self.run(line, panel, lambda: panel.online)
            door.alive()

            def lit() -> bool:
                return " 21 1\n" in trace.read_text()

            for _ in range(20):  # what it asks is lost where it is taken for gone meanwhile
                panel.ask(**light(osdp.CommandLEDColor.Red))
                if self.run(line, panel, lit, 3.0):
                    break
            assert lit()
            door.alive()

    def test_a_line_that_is_not_there_is_one_sentence(self, gate: LoggedGate) -> None:
        settings = OsdpSettings(device="/dev/none", plain=True)
        with (
            pytest.raises(DeviceError, match="check its plug"),
            Running(OsdpBridge(settings, DoorSettings(), gate.source, print)),
        ):
            pass


@pytest.mark.parametrize("content", ["00" * 15, "x" * 32, ""])
def test_a_key_that_is_none_is_refused(gate: LoggedGate, tmp_path: Path, content: str) -> None:
    key = tmp_path / "osdp.key"
    key.write_text(content, encoding="ascii")
    key.chmod(0o600)
    settings = OsdpSettings(device="/dev/x", key=str(key))
    with pytest.raises(SettingsError, match="key must"):
        OsdpBridge(settings, DoorSettings(), gate.source, print)


def test_a_key_that_everybody_may_read_is_refused(gate: LoggedGate, tmp_path: Path) -> None:
    key = tmp_path / "osdp.key"
    key.write_text("00" * 16, encoding="ascii")
    key.chmod(0o644)
    with pytest.raises(SettingsError, match="everybody may read"):
        OsdpBridge(OsdpSettings(device="/dev/x", key=str(key)), DoorSettings(), gate.source, print)
