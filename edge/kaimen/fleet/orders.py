"""Orders of a desk at a gate: a bundle to be installed, by the gate's own command."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kaimen.errors import ForgedMessage, OlderMessage
from kaimen.fleet.message import FleetMessage, MessageKind
from kaimen.fleet.store import Store
from kaimen.parsing import read_json
from kaimen.storage import forget, write_whole


class Orders:
    """The latest order of a desk, and what became of it.

    An order is begun once: a gate that was killed meanwhile says so, and does not try again by
    itself.
    """

    def __init__(self, store: Store, folder: Path, install: Callable[[Path], list[str]]) -> None:
        """``install`` returns the command that installs a bundle's file."""
        self._store = store
        self._file = folder / ".fleet-order.kaimen"
        self._install = install
        self._process: subprocess.Popen[str] | None = None
        self.wanted = ""  # SHA-256 of a content that is waited for
        self.result: dict[str, Any] = store.fact("order", {})
        if self.result.get("begun"):
            self._note(begun=False, well=False, said="the gate was stopped while it was installing")
        elif self.result and "well" not in self.result:
            self.wanted = str(self.result["content"])

    def take(self, message: FleetMessage) -> None:
        """Take an order. Raises OlderMessage and ForgedMessage."""
        try:
            if message.kind is not MessageKind.ORDER:
                raise ValueError
            found = read_json(message.content)
            content = str(found["bundle"])
        except (ValueError, TypeError, KeyError):
            raise ForgedMessage("no order that this Kaimen understands; update it") from None
        known = int(self.result.get("version", 0))
        if message.version == known:
            return
        if message.version < known or self._process is not None:
            raise OlderMessage("an order older than one that was taken, or before that is done")
        self.result = {}
        self._note(version=message.version, content=content)
        self.wanted = content

    def take_content(self, message: FleetMessage, say: Callable[[str], None]) -> None:
        """Begin with the content that is waited for. Raises ForgedMessage and StorageError."""
        known = hashlib.sha256(message.content).hexdigest()
        if message.kind is not MessageKind.CONTENT or known != self.wanted:
            raise ForgedMessage("a content that no order of this gate asks for")
        write_whole(self._file, message.content, private=True)
        self.wanted = ""
        self._note(begun=True)
        say("a desk's bundle is being installed")
        self._process = subprocess.Popen(
            self._install(self._file),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def look(self) -> None:
        """Take up how an installation went."""
        if self._process is None or self._process.poll() is None:
            return
        out, _ = self._process.communicate()
        code, self._process = self._process.returncode, None
        said = ""
        for line in out.splitlines():
            try:
                said = str(read_json(line).get("error", said))
            except (ValueError, AttributeError):
                continue
        self._note(begun=False, well=code == 0, said=said or ("" if not code else f"exit {code}"))
        forget(self._file)

    def close(self) -> None:
        """End an installation; the gate's bundle is then as it was."""
        if self._process is not None:
            self._process.terminate()
            self._process.communicate()

    def _note(self, **found: object) -> None:
        self.result = {**self.result, **found}
        self._store.note("order", self.result)
