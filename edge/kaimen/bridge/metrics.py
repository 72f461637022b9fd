"""Figures for Prometheus, on loopback alone. They name nobody."""

from __future__ import annotations

import time
from functools import partial

from kaimen.access.decision import Verdict
from kaimen.audit import Record
from kaimen.bridge.extras import library
from kaimen.bridge.problems import problems_of
from kaimen.bridge.source import EVERY, GateLog
from kaimen.bridge.status import DoorStatus, decisions, notice_of
from kaimen.door.protocol import Opened
from kaimen.door.states import State
from kaimen.errors import DeviceError
from kaimen.gate.supervisor import Pulse
from kaimen.settings import MetricsSettings

HOST = "127.0.0.1"
LOOK = 5.0  # seconds between two looks at what may be wrong
PATIENCE = 30.0  # seconds without a sign of life
LATENCIES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0)  # seconds
LEVELS = {"ok": 0, "attention": 1, "broken": 2}


class MetricsBridge:
    """Counts since it began; Prometheus knows what to make of a counter that begins anew."""

    name = "metrics"
    patience = PATIENCE

    def __init__(self, settings: MetricsSettings, source: GateLog) -> None:
        """Take the settings. Raises SettingsError where the extra is not installed."""
        self._settings, self._source = settings, source
        self._prometheus = library("prometheus_client", "metrics")
        self._registry = self._prometheus.CollectorRegistry()
        counter = partial(self._prometheus.Counter, registry=self._registry)
        gauge = partial(self._prometheus.Gauge, registry=self._registry)
        self._decisions = counter("kaimen_decisions", "Decisions of the gate.", ["verdict"])
        for verdict in Verdict:
            self._decisions.labels(verdict.value)
        self._latency = self._prometheus.Histogram(
            "kaimen_decision_latency_seconds",
            "From the end of a phrase to the decision.",
            buckets=LATENCIES,
            registry=self._registry,
        )
        self._openings = counter(
            "kaimen_door_openings", "Leases of the door, by who asked.", ["by"]
        )
        self._lost = counter("kaimen_log_lines_lost", "Lines that the gate could not write.")
        self._relay = gauge("kaimen_door_relay", "1 while the relay is on.")
        self._state = gauge("kaimen_door_state", "1 for the state that the door is in.", ["state"])
        self._microphone = gauge("kaimen_microphone_ok", "0 while the gate cannot hear.")
        self._running = gauge("kaimen_gate_running", "1 while a gate has its log open.")
        self._problem = gauge(
            "kaimen_problem",
            "What the door or the doctor found: 0 ok, 1 attention, 2 broken.",
            ["name"],
        )

    def run(self, pulse: Pulse) -> None:
        """Serve until told to stop. Raises DeviceError for a port that is taken."""
        follower = self._source.follower()
        status = DoorStatus.now(self._source)
        self._show(status)
        try:
            server, thread = self._prometheus.start_http_server(
                self._settings.port, addr=HOST, registry=self._registry
            )
        except OSError as error:
            raise DeviceError(
                f"{HOST}:{self._settings.port}: metrics cannot be served there ({error.strerror}); "
                "choose another port under [bridge.metrics]"
            ) from None
        looked = time.monotonic()
        try:
            while not pulse.stopped:
                records = follower.waiting()
                for record in records:
                    status.take(record)
                    self._count(record)
                if records or time.monotonic() - looked >= LOOK:
                    looked = time.monotonic()
                    self._show(status)
                pulse.well()
                pulse.wait(EVERY)
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _count(self, record: Record) -> None:
        for decision in decisions([record]):
            self._decisions.labels(str(decision.get("verdict"))).inc()
            if isinstance(decision.get("latency"), int | float):
                self._latency.observe(decision["latency"])
        match notice_of(record):
            case Opened(by):
                self._openings.labels(by).inc()
        if record.get("kind") == "gap":
            self._lost.inc(int(record["lost"]))

    def _show(self, status: DoorStatus) -> None:
        self._relay.set(status.relay)
        for state in State:
            self._state.labels(state.value).set(state.value == status.state)
        self._microphone.set("microphone" not in status.faults)
        conditions = problems_of(self._source, status)
        self._running.set(not conditions[0].is_one)
        self._problem.clear()
        for each in conditions:
            self._problem.labels(each.name).set(LEVELS[each.state])
