"""A bundle for several gates: one after the other, and no further than the first that is unwell."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kaimen.cli.main import main
from kaimen.errors import ForgedMessage, OlderMessage
from kaimen.fleet.message import FleetMessage, MessageKind
from kaimen.fleet.orders import Orders
from kaimen.fleet.status import gate_rows
from kaimen.fleet.store import Store
from kaimen.registry.fleet_marks import fleet_store_path
from tests.fleet.machines import MOSQUITTO, WITHOUT
from tests.fleet.processes import Site, until

CONTENT = b"a bundle"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "fleet.sqlite")) as made:
        yield made


def order(version: int, sha256: str = SHA256) -> FleetMessage:
    content = json.dumps({"bundle": sha256}).encode()
    return FleetMessage(MessageKind.ORDER, version, "desk", content)


def content(of: bytes = CONTENT) -> FleetMessage:
    return FleetMessage(MessageKind.CONTENT, 0, "desk", of)


def orders(store: Store, tmp_path: Path, program: str) -> Orders:
    return Orders(store, tmp_path, lambda file: [sys.executable, "-c", program, str(file)])


def finished(given: Orders) -> dict[str, object]:
    for _ in range(3000):
        given.look()
        if "well" in given.result:
            return given.result
        time.sleep(0.02)
    raise AssertionError(given.result)


def test_an_order_is_installed_by_the_gates_own_command(store: Store, tmp_path: Path) -> None:
    given = orders(
        store, tmp_path, "import sys; assert open(sys.argv[1], 'rb').read() == b'a bundle'"
    )
    given.take(order(1))
    assert given.wanted == SHA256
    given.take_content(content(), lambda text: None)
    assert finished(given) == {
        "version": 1, "content": SHA256, "begun": False, "well": True, "said": "",
    }  # fmt: skip
    assert not list(tmp_path.glob(".fleet-order*"))


def test_why_a_bundle_is_not_taken_is_reported(store: Store, tmp_path: Path) -> None:
    program = """print('{"error": "signed by somebody else"}'); raise SystemExit(4)"""
    given = orders(store, tmp_path, program)
    given.take(order(1))
    given.take_content(content(), lambda text: None)
    result = finished(given)
    assert (result["well"], result["said"]) == (False, "signed by somebody else")


def test_an_older_order_another_content_and_nonsense_are_refused(
    store: Store, tmp_path: Path
) -> None:
    given = orders(store, tmp_path, "")
    given.take(order(5))
    with pytest.raises(OlderMessage):
        given.take(order(4))
    with pytest.raises(ForgedMessage):
        given.take_content(content(b"another"), lambda text: None)
    with pytest.raises(ForgedMessage):
        given.take(FleetMessage(MessageKind.ORDER, 6, "desk", b"[]"))
    with pytest.raises(ForgedMessage):
        given.take(content())
    assert given.result == {"version": 5, "content": SHA256}


def test_a_gate_that_was_stopped_while_installing_says_so_and_does_not_try_again(
    store: Store, tmp_path: Path
) -> None:
    given = orders(store, tmp_path, "import time; time.sleep(600)")
    given.take(order(1))
    given.take_content(content(), lambda text: None)
    given.close()
    again = orders(store, tmp_path, "")
    assert again.wanted == ""
    assert again.result["well"] is False
    again.take(order(1))  # it is retained
    assert again.wanted == ""


@pytest.mark.slow
@pytest.mark.skipif(MOSQUITTO is None, reason=WITHOUT)
def test_a_bundle_goes_to_gates_in_turn_and_stops_at_the_first_that_refuses_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office = tmp_path / "office"
    bundle = str(tmp_path / "autumn.kaimen")
    site = Site(tmp_path)
    try:
        config = ["--config", str(site.office)]
        assert main(["bundle", "key", str(tmp_path / "maker.pem"), *config]) == 0
        key = ["--key", str(tmp_path / "maker.pem"), "--version", "2", "--trial", "0"]
        assert main(["bundle", "make", bundle, *key, *config]) == 0
        for name, tag in (("a", "in"), ("b", "in"), ("c", "in"), ("d", "out")):
            site.invite(name, tag)
        for name in ("office", "a", "c", "d"):  # b trusts nobody
            (tmp_path / name / "trusted").mkdir()
            shutil.copy(tmp_path / "maker.pub", tmp_path / name / "trusted")
        site.start_broker()
        for process in site.processes:
            process.start()

        def online() -> bool:
            with closing(Store(fleet_store_path(office / "gallery.sqlite"))) as store:
                return sum(row.online and bool(row.version) for row in gate_rows(store)) == 4

        until(online, 120)
        capsys.readouterr()
        assert main(["fleet", "roll-out", bundle, "--tag", "in", *config]) == 4
        assert "b: it did not take the bundle" in (said := capsys.readouterr().err)
        assert "c were left alone" in said
        (tmp_path / "b" / "trusted").mkdir()
        shutil.copy(tmp_path / "maker.pub", tmp_path / "b" / "trusted")
        assert main(["fleet", "roll-out", bundle, "--tag", "in", *config]) == 0
        assert "2 gates took the bundle" in capsys.readouterr().out  # a has it
        with closing(Store(fleet_store_path(office / "gallery.sqlite"))) as store:
            bundles = {row.name: row.bundle for row in gate_rows(store)}
        assert bundles["a"] == bundles["b"] == bundles["c"] != ""
        assert bundles["d"] == ""
    finally:
        site.stop()
