"""Voice: from the sound of a phrase to one point of the latent space."""

from pathlib import Path

SHIPPED = Path(__file__).parents[1] / "models" / "encoder.tflite"  # the encoder that comes along
SMALL = SHIPPED.with_name("small") / SHIPPED.name  # the one for a Pi 3 or a Zero 2 W
LOUDSPEAKER = SHIPPED.with_name("loudspeaker.npz")  # the detector of loudspeakers
ENCODERS = {"large": SHIPPED, "small": SMALL}  # that come along, by their names in the settings
PHRASE = Path(__file__).parents[1] / "models" / "phrase.tflite"  # the phrase encoder, the same


def beside(encoder: Path, shipped: Path) -> Path:
    """The model of this name in an encoder's folder; the shipped one where there is none."""
    own = encoder.with_name(shipped.name)
    return own if own.exists() else shipped
