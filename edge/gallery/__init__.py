"""The gallery: all voiceprints, a way to the nearest, and the threshold that fits them."""

from edge.gallery.calibration import Calibration, calibrate
from edge.gallery.gallery import Gallery

__all__ = ["Calibration", "Gallery", "calibrate"]
