"""What an operator may choose, as value objects: a file for each section of the TOML file.

Nothing here imports another room: settings are read on any machine, without its hardware.
"""

from kaimen.settings.bridge import BridgeSettings as BridgeSettings
from kaimen.settings.bridge import MetricsSettings as MetricsSettings
from kaimen.settings.bridge import MqttSettings as MqttSettings
from kaimen.settings.bridge import NotifySettings as NotifySettings
from kaimen.settings.bridge import OsdpSettings as OsdpSettings
from kaimen.settings.bridge import WebhookSettings as WebhookSettings
from kaimen.settings.bridge import WiegandSettings as WiegandSettings
from kaimen.settings.bundle import BundleSettings as BundleSettings
from kaimen.settings.checks import ChecksSettings as ChecksSettings
from kaimen.settings.console import ConsoleSettings as ConsoleSettings
from kaimen.settings.door import DoorSettings as DoorSettings
from kaimen.settings.encoder import EncoderSettings as EncoderSettings
from kaimen.settings.fleet import FleetSettings as FleetSettings
from kaimen.settings.gallery import GallerySettings as GallerySettings
from kaimen.settings.gate import GateSettings as GateSettings
from kaimen.settings.reader import ReaderSettings as ReaderSettings
from kaimen.settings.review import ReviewSettings as ReviewSettings
from kaimen.settings.roster import Rule as Rule
from kaimen.settings.settings import SYSTEM as SYSTEM
from kaimen.settings.settings import Settings as Settings
from kaimen.settings.sound import SoundSettings as SoundSettings
