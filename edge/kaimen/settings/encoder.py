"""[encoder]: which encoder turns a phrase into a voiceprint, and what it runs on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kaimen.errors import SettingsError

MODELS = Path(__file__).parents[1] / "models"  # what comes along
ENCODERS = {"large": MODELS / "encoder.tflite", "small": MODELS / "small" / "encoder.tflite"}


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """[encoder]"""

    path: str = ""  # empty: the active bundle's, or the model that comes along
    model: str = "large"  # which comes along; "small" for a Pi 3, a Zero 2 W and older
    runtime: str = ""  # tflite_runtime or ai_edge_litert; empty: whichever is there

    def __post_init__(self) -> None:
        if self.model not in ENCODERS:
            raise SettingsError(f"encoder.model must be {' or '.join(ENCODERS)}")

    @property
    def shipped(self) -> Path:
        """Return where the model that comes along is."""
        return ENCODERS[self.model]
