"""The link to a fleet's broker: MQTT 5, in one thread, made again whenever it is lost.

Nothing is kept of a link that was lost: who publishes knows what was received, and who reads knows
what is missing.
"""

from __future__ import annotations

import contextlib
import select
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kaimen.errors import FleetError
from kaimen.fleet.membership import Broker

if TYPE_CHECKING:
    from paho.mqtt.client import Client

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds between tries
KEEPALIVE = 20  # seconds; a broker misses a machine after half as long again
TIMEOUT = 5.0  # seconds to connect in
AT_ONCE = 200  # packets that are read before anything else is done
IN_FLIGHT = 100  # messages that are published and not yet received

Handler = Callable[[str, bytes, bool], None]  # topic, payload, whether it was retained


class Link:
    """A link to a broker, as one of its users."""

    def __init__(
        self,
        broker: Broker,
        client: str,
        handler: Handler,
        *,
        will: tuple[str, bytes] | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """``client``: the identity at the broker; ``will``: what it retains when the link is lost.

        Raises FleetError where this machine lacks the extra. Nothing is connected yet.
        """
        try:
            import paho.mqtt.client  # only machines of a fleet have it
            import paho.mqtt.subscribeoptions
        except ImportError:
            raise FleetError(
                "the fleet needs the library paho-mqtt; install Kaimen with its extra: "
                "pip install 'kaimen[fleet]'"
            ) from None
        self._mqtt = paho.mqtt.client
        self._options = paho.mqtt.subscribeoptions.SubscribeOptions
        self._broker = broker
        self._name = client
        self._handler = handler
        self._will = will
        self._say = say
        self._said = ""
        self._client: Client | None = None
        self._next_try = 0.0
        self._wait = FIRST_WAIT
        self._received: deque[int] = deque()  # messages that the broker has
        self._flying: set[int] = set()
        self.connected = False
        self.connections = 0  # how often it was made
        self.why_not = "not connected yet"

    @property
    def room(self) -> int:
        """Return how many more messages may be published now."""
        return IN_FLIGHT - len(self._flying) if self.connected else 0

    def step(self, timeout: float) -> None:
        """Read and write what is due, or wait for it, at most ``timeout`` seconds."""
        if self._client is None:
            pause = self._next_try - time.monotonic()
            if pause > 0:
                time.sleep(min(pause, timeout))
                return
            self._connect()
            return
        for _ in range(AT_ONCE):
            before = self._client
            code = self._client.loop(timeout)
            if code != self._mqtt.MQTT_ERR_SUCCESS:
                self._lost(self.why_not or self._mqtt.error_string(code))
                return
            if self._client is not before or not self._pending():
                return
            timeout = 0.0

    def _pending(self) -> bool:
        """Return whether more lies ready to be read."""
        client = self._client
        held = client.socket() if client is not None else None
        if held is None:
            return False
        if isinstance(held, ssl.SSLSocket) and held.pending():
            return True
        return bool(select.select([held], [], [], 0)[0])

    def publish(self, topic: str, payload: bytes, *, retain: bool = True) -> int | None:
        """Publish to be received once at least; return its number, or None without a link."""
        if self._client is None or not self.connected:
            return None
        sent = self._client.publish(topic, payload, qos=1, retain=retain)
        if sent.rc != self._mqtt.MQTT_ERR_SUCCESS:
            return None
        self._flying.add(sent.mid)
        return sent.mid

    def received(self) -> list[int]:
        """Return the numbers of messages that the broker has received since the last call."""
        found = list(self._received)
        self._received.clear()
        return found

    def subscribe(self, filter: str, *, retained: bool = True) -> None:
        """Subscribe; ``retained``: to what is retained already, too."""
        if self._client is not None:
            options = self._options(
                qos=1, noLocal=True, retainAsPublished=True, retainHandling=0 if retained else 2
            )
            self._client.subscribe(filter, options=options)

    def unsubscribe(self, filter: str) -> None:
        """End a subscription."""
        if self._client is not None:
            self._client.unsubscribe(filter)

    def close(self) -> None:
        """End the link in order; the will is not published."""
        if self._client is not None:
            with contextlib.suppress(OSError, ValueError):
                self._client.disconnect()
                self._client.loop(0.2)
        self._drop()

    def _connect(self) -> None:
        mqtt, broker = self._mqtt, self._broker
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=self._name, protocol=mqtt.MQTTv5
        )
        client.connect_timeout = TIMEOUT
        client.max_inflight_messages_set(IN_FLIGHT)
        if broker.user:
            client.username_pw_set(broker.user, broker.password)
        if self._will is not None:
            client.will_set(*self._will, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        self.why_not = ""
        try:
            if broker.authority:
                context = ssl.create_default_context(cadata=broker.authority)
                client.tls_set_context(context)
            client.connect(broker.host, broker.port, keepalive=KEEPALIVE, clean_start=True)
        except ssl.SSLCertVerificationError as error:
            self._lost(
                f"the broker's certificate is not that of this fleet ({error.verify_message})"
            )
        except (OSError, ValueError) as error:
            self._lost(str(error))
        else:
            self._client = client

    def _on_connect(self, client: Client, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            self.why_not = str(reason)
            return
        self.connected = True
        self.connections += 1
        self.why_not = ""
        self._wait = FIRST_WAIT
        self._tell("the broker is reached")

    def _on_disconnect(self, client: Client, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            self.why_not = self.why_not or str(reason)

    def _on_message(self, client: Client, _: Any, message: Any) -> None:
        self._handler(message.topic, message.payload, bool(message.retain))

    def _on_publish(self, client: Client, _: Any, mid: int, reason: Any, __: Any) -> None:
        self._flying.discard(mid)
        if reason is not None and reason.is_failure:
            self._tell(f"the broker did not take a message: {reason}; check its list of rights")
            return
        self._received.append(mid)

    def _lost(self, why: str) -> None:
        self._drop()
        self.why_not = why
        self._next_try = time.monotonic() + self._wait
        self._wait = min(2 * self._wait, LONGEST_WAIT)
        broker = self._broker
        self._tell(f"no link to the broker at {broker.host}:{broker.port}: {why}; trying again")

    def _drop(self) -> None:
        self.connected = False
        self._flying.clear()
        self._received.clear()
        client, self._client = self._client, None
        if client is not None:
            held = client.socket()
            if held is not None:
                with contextlib.suppress(OSError):
                    held.close()

    def _tell(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._say(text)
