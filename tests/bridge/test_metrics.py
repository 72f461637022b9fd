"""What Prometheus reads."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kaimen.bridge.metrics import MetricsBridge
from kaimen.errors import DeviceError
from kaimen.settings import MetricsSettings
from tests.bridge.gates import ENOUGH, LoggedGate, Running, free_port, soon


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[LoggedGate]:
    with LoggedGate(tmp_path / "state") as gate:
        gate.greet()
        yield gate


def bridge(gate: LoggedGate, port: int) -> MetricsBridge:
    return MetricsBridge(MetricsSettings(port=port), gate.source)


def figures(port: int) -> dict[str, float]:
    """Samples by name and labels."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/metrics", timeout=ENOUGH) as answer:
        text = answer.read().decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_decisions_latency_and_openings_are_counted_from_now_on(gate: LoggedGate) -> None:
    gate.decide("open", "李雷", latency=0.2)
    port = free_port()
    with Running(bridge(gate, port)):
        assert figures(port)["kaimen_decisions_total{verdict=open}"] == 0
        gate.decide("open", "李雷", latency=0.12)
        gate.decide("unknown", latency=0.4)
        gate.decide("unknown")
        gate.door("relay on", "opened by voice", "state unlocked")
        soon(lambda: figures(port).get("kaimen_door_openings_total{by=voice}") == 1)
        soon(lambda: figures(port)["kaimen_door_state{state=unlocked}"] == 1)
        found = figures(port)
    assert found["kaimen_decisions_total{verdict=open}"] == 1
    assert found["kaimen_decisions_total{verdict=unknown}"] == 2
    assert found["kaimen_decisions_total{verdict=refused}"] == 0
    assert found["kaimen_decision_latency_seconds_count{}"] == 2
    assert found["kaimen_decision_latency_seconds_bucket{le=0.15}"] == 1
    assert found["kaimen_door_relay{}"] == 1
    assert sum(value for key, value in found.items() if "kaimen_door_state" in key) == 1
    assert found["kaimen_gate_running{}"] == 1
    assert not any("李雷" in key for key in found)


def test_problems_and_the_microphone_are_figures_too(gate: LoggedGate, tmp_path: Path) -> None:
    doctor = tmp_path / "doctor.json"
    lines = [
        {"name": "noise floor", "state": "attention", "found": "x", "mend": None},
        {"name": "disk", "state": "ok", "found": "x", "mend": None},
    ]
    doctor.write_text("".join(json.dumps(each) + "\n" for each in lines), encoding="utf-8")
    gate.source = replace(gate.source, doctor=doctor)
    gate.door("fault microphone on")
    port = free_port()
    with Running(bridge(gate, port)):
        found = figures(port)
        assert found["kaimen_microphone_ok{}"] == 0
        assert found["kaimen_problem{name=doctor_noise_floor}"] == 1
        assert found["kaimen_problem{name=doctor_disk}"] == 0
        assert found["kaimen_problem{name=fault_microphone}"] == 2
        gate.door("fault microphone off")
        soon(lambda: figures(port)["kaimen_microphone_ok{}"] == 1)


def test_a_gate_that_does_not_run_is_told(gate: LoggedGate) -> None:
    gate.close()
    port = free_port()
    with Running(bridge(gate, port)):
        assert figures(port)["kaimen_gate_running{}"] == 0


def test_a_port_that_is_taken_is_one_sentence_and_a_port_is_free_again_after(
    gate: LoggedGate,
) -> None:
    port = free_port()
    taken = pytest.raises(DeviceError, match="choose another port")
    with Running(bridge(gate, port)), taken, Running(bridge(gate, port)):
        pass
    with Running(bridge(gate, port)):
        pass
