"""What an operator may choose, as value objects: a file for each section of the TOML file.

Nothing here imports another room: settings are read on any machine, without its hardware.
"""

from kaimen.settings.bundle import BundleSettings
from kaimen.settings.checks import ChecksSettings
from kaimen.settings.console import ConsoleSettings
from kaimen.settings.door import DoorSettings
from kaimen.settings.encoder import EncoderSettings
from kaimen.settings.gallery import GallerySettings
from kaimen.settings.gate import GateSettings
from kaimen.settings.reader import ReaderSettings
from kaimen.settings.roster import Rule
from kaimen.settings.settings import SYSTEM, Settings
from kaimen.settings.sound import SoundSettings

__all__ = [
    "SYSTEM",
    "BundleSettings",
    "ChecksSettings",
    "ConsoleSettings",
    "DoorSettings",
    "EncoderSettings",
    "GallerySettings",
    "GateSettings",
    "ReaderSettings",
    "Rule",
    "Settings",
    "SoundSettings",
]
