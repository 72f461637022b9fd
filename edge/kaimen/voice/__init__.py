"""Voice: from the sound of a phrase to one point of the latent space."""

from pathlib import Path

from kaimen.settings.encoder import ENCODERS, MODELS

SHIPPED = ENCODERS["large"]  # the encoder that comes along
SMALL = ENCODERS["small"]  # the one for a Pi 3 or a Zero 2 W
LOUDSPEAKER = MODELS / "loudspeaker.npz"  # the detector of loudspeakers
PHRASE = MODELS / "phrase.tflite"  # the phrase encoder, the same for both


def model_path(encoder: Path, shipped: Path) -> Path:
    """Return the model of this name in an encoder's folder; the shipped one where there is none."""
    own = encoder.with_name(shipped.name)
    return own if own.exists() else shipped
