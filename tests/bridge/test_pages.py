"""The examples of the pages do what they say."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kaimen.bridge.webhook import WebhookBridge
from kaimen.settings import Settings, WebhookSettings
from tests.bridge.gates import LoggedGate, Running, soon
from tests.bridge.test_webhook import SECRET, Receiver

PAGE = (Path(__file__).parents[2] / "docs" / "use" / "bridge.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.mark.parametrize("text", blocks("toml"))
def test_each_example_is_a_file_of_settings(text: str) -> None:
    bridge = Settings.parse(text, "kaimen.toml").bridge
    assert bridge != Settings().bridge


def test_every_system_has_an_example() -> None:
    together = "\n".join(blocks("toml"))
    for name in ("mqtt", "osdp", "wiegand", "webhook", "metrics", "notify"):
        assert f"[bridge.{name}]" in together


def test_a_receiver_that_checks_as_the_page_says_takes_our_posts_and_no_others(
    tmp_path: Path, receiver: Receiver
) -> None:
    (code,) = blocks("python")
    found: dict[str, Any] = {}
    exec(code, found)
    is_ours = found["is_ours"]
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    secret.chmod(0o600)
    with LoggedGate(tmp_path / "state") as gate:
        settings = WebhookSettings(url=receiver.url, secret=str(secret))
        with Running(WebhookBridge(settings, gate.source, print)):
            gate.decide("open", "李雷")
            soon(lambda: len(receiver.posts) == 1)
    headers, body = receiver.posts[0]
    assert is_ours(SECRET, headers, body)
    assert not is_ours(SECRET, headers, body + b" ")
    assert not is_ours(b"another secret of some length", headers, body)
    late = {**headers, "webhook-timestamp": str(int(time.time()) - 301)}
    assert not is_ours(SECRET, late, body)


def test_the_events_on_the_page_are_those_that_are_posted(
    tmp_path: Path, receiver: Receiver
) -> None:
    import json

    from kaimen.bridge.events import event_of

    (text,) = blocks("json")
    with LoggedGate(tmp_path / "state") as gate:
        follower = gate.source.follower()
        gate.decide("open", "李雷", checks={"phrase": [0.8, 0.5]})
        (record,) = follower.waiting()
    event = event_of(record, None)
    assert event is not None
    assert list(json.loads(text)) == list(event)


def test_the_figures_on_the_page_are_those_that_are_served(tmp_path: Path) -> None:
    from prometheus_client import generate_latest

    from kaimen.bridge.metrics import MetricsBridge
    from kaimen.settings import MetricsSettings

    with LoggedGate(tmp_path / "state") as gate:
        bridge = MetricsBridge(MetricsSettings(port=1), gate.source)
    served = re.findall(r"^# TYPE (\w+)", generate_latest(bridge._registry).decode(), re.MULTILINE)
    served = [name for name in served if not name.endswith("_created")]
    told = re.findall(r"`(kaimen_\w+)", PAGE)
    assert sorted(set(served)) == sorted(set(told))
