"""A gate at an MQTT broker: its state retained, its decisions as they are made, one command."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import ssl
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaimen.audit import Record
from kaimen.bridge.discovery import (
    LOCKED,
    OFF,
    OFFLINE,
    ON,
    ONLINE,
    UNLOCK,
    UNLOCKED,
    configurations,
    node_of,
    topic_of,
)
from kaimen.bridge.extras import library
from kaimen.bridge.problems import problems_of
from kaimen.bridge.source import EVERY, GateLog, is_late, secret_of
from kaimen.bridge.status import DoorStatus, decisions
from kaimen.door.by_hand import open_by_hand
from kaimen.door.states import State
from kaimen.errors import DeviceError, KaimenError, SettingsError
from kaimen.gate.supervisor import Pulse
from kaimen.settings import DoorSettings, MqttSettings

if TYPE_CHECKING:
    import aiomqtt

LATE = 10.0  # seconds after which a decision is no news any more
LOOK = 10.0  # seconds between two looks at what may be wrong
CONNECT = 10.0  # seconds a broker may take to answer
PATIENCE = 60.0  # seconds without a sign of life
WANTED = 5.0  # seconds after which a command is not wanted any more, on a busy machine, too
STOPPED = WANTED  # seconds without a turn: what waited may be older than that
QUEUED = 100  # messages that may wait
ALARMS = (State.HELD.value, State.FORCED.value)


class MqttBridge:
    """Publishes a gate."""

    name = "MQTT bridge"
    patience = PATIENCE

    def __init__(
        self,
        settings: MqttSettings,
        door: DoorSettings,
        source: GateLog,
        say: Callable[[str], None],
    ) -> None:
        """Take the settings. Raises SettingsError for what cannot be."""
        self._settings, self._door, self._source, self._say = settings, door, source, say
        self._topics = partial(topic_of, settings)
        self._born = f"{settings.discovery}/status"  # where Home Assistant says that it began
        self._turned = -math.inf
        self._stopped = False  # since it last connected
        self._password: str | None = None
        if settings.password:
            secret = secret_of(settings.password, "the broker's password")
            self._password = secret.decode(errors="surrogateescape")
        if settings.unlock and not door.socket:
            raise SettingsError(
                "mqtt.unlock needs a door of its own to ask: give socket under [door], for example "
                '"/run/kaimen/door"'
            )
        if settings.students and not source.cards.names:
            raise SettingsError("mqtt.students needs the students' names: give bridge.cards")
        self._mqtt = library("aiomqtt", "mqtt")

    def run(self, pulse: Pulse) -> None:
        """Serve a broker until told to stop. Raises DeviceError when it cannot be reached."""
        try:
            while not pulse.stopped:
                asyncio.run(self._serve(pulse))
        except self._mqtt.MqttError as error:
            raise DeviceError(
                f"the broker at {self._settings.host}:{self._settings.port} cannot be used "
                f"({error}); look at its name, its port and its password"
            ) from None

    async def _serve(self, pulse: Pulse) -> None:
        """Serve until told to end, or until this process stood still: it connects anew then."""
        settings, topics, mqtt = self._settings, self._topics, self._mqtt
        pulse.alive()
        self._turned, self._stopped = time.monotonic(), False
        async with mqtt.Client(
            settings.host,
            settings.port,
            username=settings.username or None,
            password=self._password,
            identifier=f"{settings.topic}-{settings.name}-bridge",
            will=mqtt.Will(topics("available"), OFFLINE, qos=1, retain=True),
            tls_context=self._tls(),
            timeout=CONNECT,
            max_queued_incoming_messages=QUEUED,
        ) as client:
            publisher = _Publisher(client)
            await self._subscribe(client)
            commands = asyncio.create_task(self._listen(client, publisher))
            turning = asyncio.create_task(self._turn())
            try:
                await self._follow(publisher, commands, pulse)
            finally:
                for task in (commands, turning):
                    with contextlib.suppress(asyncio.CancelledError, mqtt.MqttError):
                        await _end(task)
            await publisher.retain(topics("available"), OFFLINE)

    def _tls(self) -> ssl.SSLContext | None:
        if not self._settings.tls:
            return None
        try:
            return ssl.create_default_context(cafile=self._settings.authority or None)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"mqtt.authority: cannot be used ({error})") from None

    async def _turn(self) -> None:
        """Note that this process runs, whatever the broker keeps waiting."""
        while True:
            self._was_stopped()
            await asyncio.sleep(EVERY)

    def _was_stopped(self) -> bool:
        """Return whether this process stood still: what waits at its connection is not wanted."""
        now = time.monotonic()
        self._stopped = self._stopped or now - self._turned > STOPPED
        self._turned = now
        return self._stopped

    async def _follow(
        self, publisher: _Publisher, commands: asyncio.Task[None], pulse: Pulse
    ) -> None:
        """Publish what changes, as it changes."""
        follower = self._source.follower()
        status = DoorStatus.now(self._source)
        looked = -LOOK
        await publisher.retain(self._topics("available"), ONLINE)
        while not (pulse.stopped or self._stopped):
            if commands.done():
                commands.result()
            records = follower.waiting()
            for record in records:
                status.take(record)
                await self._state(publisher, status)
            for record in decisions(records):
                if not is_late(record, LATE):
                    await publisher.send(self._topics("decision"), self._decision(record))
            if time.monotonic() - looked >= LOOK:
                looked = time.monotonic()
                await self._problems(publisher, status)
            await self._state(publisher, status)
            pulse.well()
            await asyncio.sleep(EVERY)

    async def _state(self, publisher: _Publisher, status: DoorStatus) -> None:
        topics = self._topics
        await publisher.retain(topics("lock"), UNLOCKED if status.relay else LOCKED)
        if status.state:
            await publisher.retain(topics("state"), status.state)
            await publisher.retain(topics("alarm"), ON if status.state in ALARMS else OFF)
            if self._door.contact >= 0:
                await publisher.retain(topics("contact"), ON if status.stands_open else OFF)
        tampered = ON if "tamper" in status.faults else OFF
        await publisher.retain(topics("problem/fault_tamper"), tampered)

    async def _problems(self, publisher: _Publisher, status: DoorStatus) -> None:
        # Read beside this thread: a slow disk keeps no command waiting.
        conditions = await asyncio.to_thread(problems_of, self._source, status)
        running = not conditions[0].is_one
        await publisher.retain(self._topics("running"), ONLINE if running else OFFLINE)
        found = configurations(self._settings, conditions, contact=self._door.contact >= 0)
        for key, payload in found.items() if self._settings.discovery else ():
            component, _, name = key.partition("/")
            device = f"{self._settings.discovery}/{component}/{node_of(self._settings)}"
            topic = f"{device}/{name}/config"
            await publisher.retain(topic, json.dumps(payload) if payload else "")
        for each in conditions:
            topic = self._topics(f"problem/{each.name}")
            await publisher.retain(topic, ON if each.is_one else OFF)
            details = {"state": each.state, "found": each.found, "mend": each.mend}
            await publisher.retain(f"{topic}/details", json.dumps(details))

    def _decision(self, record: Record) -> str:
        """Return a decision; no student's name unless the operator asks for it."""
        said: dict[str, Any] = {
            "event_type": record.get("verdict"),
            "id": f"{record['number']}:{record['hash'][:16]}",
            "at": record["at"],
            "score": record.get("score"),
            "threshold": record.get("threshold"),
        }
        if self._settings.students:
            said["student"] = self._source.cards.name(record)
        return json.dumps(said, ensure_ascii=False)

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        if self._settings.discovery:
            await client.subscribe(self._born, qos=1)
        if self._settings.unlock:
            await client.subscribe(self._topics("command"), qos=0)

    async def _listen(self, client: aiomqtt.Client, publisher: _Publisher) -> None:
        """Obey the one command, and say everything again to a Home Assistant that begins."""
        async for message in client.messages:
            if message.topic.value == self._born:
                if message.payload == ONLINE.encode() and not message.retain:
                    await publisher.again()
            # A retained command would open the door whenever the bridge connects.
            elif message.payload == UNLOCK.encode() and not message.retain:
                if self._was_stopped():
                    self._say("a command of the broker waited too long; the door stays shut")
                    continue
                await asyncio.to_thread(self._unlock)

    def _unlock(self) -> None:
        try:
            open_by_hand(Path(self._door.socket), if_written=True, patience=WANTED)
            self._say("opened by a command of the broker")
        except KaimenError as error:
            self._say(f"a command of the broker: {error}")


class _Publisher:
    """Publishes; of what is retained only what changed."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self._retained: dict[str, str] = {}

    async def retain(self, topic: str, payload: str) -> None:
        """Publish what a later subscriber is to know as well."""
        if self._retained.get(topic) != payload:
            await self._client.publish(topic, payload, qos=1, retain=True)
            self._retained[topic] = payload

    async def send(self, topic: str, payload: str) -> None:
        """Publish what only those need who are there."""
        await self._client.publish(topic, payload, qos=1)

    async def again(self) -> None:
        """Publish all that is retained once more."""
        for topic, payload in list(self._retained.items()):
            await self._client.publish(topic, payload, qos=1, retain=True)


async def _end(task: asyncio.Task[None]) -> None:
    """End a task, and raise what it ended by.

    Before Python 3.12, a task that is cancelled just when the broker answers it may go on.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.5)
    task.result()
