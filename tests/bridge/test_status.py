"""What the bridge takes from the log is how the door is, whatever happens to the door."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kaimen.bridge.status import DoorStatus
from kaimen.door import controller
from tests.door.bench import BUTTON, CONTACT, TAMPER, Bench, wired

STEPS = st.sampled_from(
    ["open", "rest", "fault", "idle", "button", "contact", "tamper", "wait", "long", "voice"]
)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "TICK", 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=12))
def test_the_doors_words_tell_its_relay_its_state_and_its_faults(steps: list[str]) -> None:
    bench = Bench(wired(tamper=TAMPER))
    status, written = DoorStatus(), 0
    level = {CONTACT: True, TAMPER: True}
    try:
        with bench.process:
            bench.turn()
            for step in steps:
                if step in ("open", "rest"):
                    bench.tell(step if step == "rest" else f"open {bench.now + 1:.3f}")
                elif step in ("fault", "idle"):
                    bench.tell(f"show {step}")
                elif step == "button":
                    bench.drive(BUTTON, False)
                    bench.drive(BUTTON, True)
                elif step in ("contact", "tamper"):
                    pin = CONTACT if step == "contact" else TAMPER
                    level[pin] = not level[pin]
                    bench.drive(pin, level[pin])
                elif step == "voice":  # another gate comes: what was wrong is said anew
                    bench.process.server.came = True
                    bench.turn()
                else:
                    bench.tell("alive")
                    bench.wait(1.0 if step == "wait" else 9.0)
                for text in bench.heard():
                    written += 1
                    status.take({"number": written, "kind": "door", "event": text})
                machine = bench.process.machine
                assert status.state == machine.state.value
                assert status.relay == bench.process.relay.is_on
                assert status.faults == {fault.value for fault in machine.faults}
    finally:
        bench.voice.close()
        bench.pins.reset()
