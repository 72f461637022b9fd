"""A gate's parts by its settings."""

from kaimen.installation.parts import Installation as Installation
from kaimen.installation.parts import models_of as models_of
