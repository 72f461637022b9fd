"""A network is trusted only with its card, whichever kind it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kaimen.errors import EncoderError
from kaimen.voice import PHRASE, SHIPPED, features
from kaimen.voice.encoder import Encoder
from kaimen.voice.phrase import PhraseEncoder


@dataclass(frozen=True)
class Network:
    """A kind of network: how it is called and opened, and where a copy of the shipped one lies."""

    noun: str
    opened: Callable[[Path], object]
    path: Path

    def refusal(self) -> str:
        """Return the one sentence with which it is refused."""
        with pytest.raises(EncoderError) as caught:
            self.opened(self.path)
        assert caught.value.exit_code == 4
        assert "\n" not in str(caught.value)
        return str(caught.value)


@pytest.fixture(params=["encoder", "phrase encoder"])
def network(request: pytest.FixtureRequest, tmp_path: Path) -> Network:
    opened, shipped = {"encoder": (Encoder, SHIPPED), "phrase encoder": (PhraseEncoder, PHRASE)}[
        request.param
    ]
    for each in (shipped, shipped.with_suffix(".json")):
        shutil.copy(each, tmp_path)
    return Network(request.param, opened, tmp_path / shipped.name)


def test_a_changed_network_is_refused(network: Network) -> None:
    network.path.write_bytes(b"another")
    assert "not the file its card describes" in network.refusal()


def test_a_network_without_a_card_is_refused(network: Network) -> None:
    network.path.with_suffix(".json").unlink()
    assert f"no card beside the {network.noun}" in network.refusal()


def test_a_card_without_a_network_is_refused(network: Network) -> None:
    network.path.unlink()
    assert "cannot be read" in network.refusal()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"[]",
        b"3",
        b"{}",
        b'{"name": "x", "colour": 1}',
        b"\xff\xfe\xff",
        b"\xed\x9f\xbf",
    ],
)
def test_what_is_no_card_is_refused(network: Network, content: bytes) -> None:
    network.path.with_suffix(".json").write_bytes(content)
    assert f"{network.noun}'s card" in network.refusal()


@pytest.mark.parametrize("name", sorted(features.constants()))
def test_other_features_are_refused(network: Network, name: str) -> None:
    path = network.path.with_suffix(".json")
    card = json.loads(path.read_text(encoding="utf-8"))
    card["features"][name] *= 2
    path.write_text(json.dumps(card), encoding="utf-8")
    assert "other features" in network.refusal()
