"""The gallery: all voiceprints, a way to the nearest, and the threshold that fits them."""

from kaimen.calibration.calibration import Calibration, calibrate
from kaimen.gallery.gallery import Gallery

__all__ = ["Calibration", "Gallery", "calibrate"]
