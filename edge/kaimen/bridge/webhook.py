"""Signed posts of what happens, to the one address that is configured.

Signed as Standard Webhooks has it (https://www.standardwebhooks.com): HMAC-SHA256 over id, time and
body. Each event is posted until the receiver takes it, in its order, and after a crash perhaps
twice: the id tells. Redirections are not followed and no proxy is asked, so nothing but that
address is ever reached.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import http.client
import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from kaimen import __version__
from kaimen.bridge.events import event_of
from kaimen.bridge.source import EVERY, GateLog, secret_of
from kaimen.errors import SettingsError
from kaimen.gate.supervisor import Pulse
from kaimen.settings import WebhookSettings

TIMEOUT = 10.0  # seconds a receiver may take
FIRST_PAUSE = 1.0  # seconds before another try; doubled each time
LONGEST_PAUSE = 300.0
UNFIT = (400, 413, 422)  # answers to what will never be taken
TRIES = 5  # of what is unfit, before it is left out
LEAST_SECRET = 16  # bytes
PATIENCE = 60.0  # seconds without a sign of life
CURSOR = "webhook"


class WebhookBridge:
    """Posts every event once, or again until it is taken."""

    name = "webhook"
    patience = PATIENCE

    def __init__(
        self,
        settings: WebhookSettings,
        source: GateLog,
        say: Callable[[str], None],
        *,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        """Take the settings. Raises SettingsError for what cannot be."""
        self._settings, self._source, self._say = settings, source, say
        self._secret = _secret(settings.secret)
        self._first_pause = first_pause
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), _NoRedirection()
        )
        if settings.students and not source.cards.names:
            raise SettingsError("webhook.students needs the students' names: give bridge.cards")

    def run(self, pulse: Pulse) -> None:
        """Serve until told to stop. Raises StorageError where the cursor cannot be kept."""
        follower = self._source.follower(CURSOR)
        cards = self._source.cards if self._settings.students else None
        missed = 0
        while not pulse.stopped:
            for record in follower.waiting(1):
                event = event_of(record, cards)
                if event is not None and not self._deliver(event, pulse):
                    return  # told to stop: the cursor is before it still
                follower.keep()
                if follower.missed != missed:
                    self._say(
                        f"{follower.missed - missed} lines of the log were removed before the "
                        "webhook's receiver took them"
                    )
                    missed = follower.missed
                break
            else:
                pulse.wait(EVERY)
            pulse.well()

    def _deliver(self, event: dict[str, Any], pulse: Pulse) -> bool:
        """Post until it is taken; return whether that was before the end."""
        body = json.dumps(event, ensure_ascii=False, allow_nan=False).encode()
        pause, tries, said = self._first_pause, 0, ""
        while True:
            pulse.alive()
            reason, status = self._post(event["id"], body)
            if not reason:
                if said:
                    self._say("the webhook's receiver takes events again")
                return True
            tries += 1
            if status in UNFIT and tries >= TRIES:
                self._say(f"the webhook's receiver refuses event {event['id'][:20]} ({reason})")
                return True
            if reason != said:
                said = reason
                self._say(f"the webhook's receiver took no event ({reason}); it is tried again")
            if not _waited(pause * random.uniform(0.8, 1.2), pulse):
                return False
            pause = min(2 * pause, LONGEST_PAUSE)

    def _post(self, identity: str, body: bytes) -> tuple[str, int]:
        """Return why it was not taken, or nothing, and what was answered."""
        now = str(int(time.time()))
        request = urllib.request.Request(
            self._settings.url,
            data=body,
            headers={
                "Content-Type": "application/json",
                "User-Agent": f"kaimen/{__version__}",
                "webhook-id": identity,
                "webhook-timestamp": now,
                "webhook-signature": signature(self._secret, identity, now, body),
            },
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                return "", answer.status
        except urllib.error.HTTPError as error:
            with error:
                return f"it answers {error.code}", error.code
        except (OSError, http.client.HTTPException, ValueError) as error:
            return str(getattr(error, "reason", error)) or type(error).__name__, 0


def signature(secret: bytes, identity: str, timestamp: str, body: bytes) -> str:
    """Return the signature's header, as Standard Webhooks 1.0 has it."""
    content = f"{identity}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, content, "sha256")).decode()


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """A receiver that points elsewhere has not taken anything."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow none."""


def _waited(seconds: float, pulse: Pulse) -> bool:
    """Sleep, with signs of life; return whether it was not told to stop meanwhile."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if pulse.wait(min(left, PATIENCE / 4)):
            return False
        pulse.alive()
    return not pulse.stopped


def _secret(path: str) -> bytes:
    """Return the secret of a file: any bytes, or ``whsec_`` and base64. Raises SettingsError."""
    secret = secret_of(path, "the webhook's secret", LEAST_SECRET)
    if not secret.startswith(b"whsec_"):
        return secret
    try:
        return base64.b64decode(secret.removeprefix(b"whsec_"), validate=True)
    except binascii.Error:
        raise SettingsError(f"{path}: what follows whsec_ must be base64") from None
