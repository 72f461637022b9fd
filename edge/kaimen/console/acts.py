"""The log of what people do at the console, and with its accounts: who, and what."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from kaimen.audit import Audit
from kaimen.errors import StorageError

BUSY = 1.0  # seconds that another process may hold the log


class Acts:
    """Writes acts down, each by opening the log anew: the terminal writes it, too."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder, self._key = folder, key
        self._lock = threading.Lock()

    def write(self, who: str, did: str, **what: object) -> None:
        """Write down who does what, before it is done. Raises StorageError: then do it not."""
        record = {"kind": "act", "who": who, "did": did, **what}
        end = time.monotonic() + BUSY
        with self._lock:
            while True:
                try:
                    with Audit(self._folder, self._key) as audit:
                        audit.write(record)
                    return
                except StorageError as error:
                    if "another" not in str(error) or time.monotonic() > end:
                        raise
                time.sleep(0.05)
