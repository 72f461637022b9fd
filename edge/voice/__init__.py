"""Voice: from the sound of a phrase to one point of the latent space."""

from pathlib import Path

SHIPPED = Path(__file__).parents[1] / "models" / "encoder.tflite"  # the encoder that comes along
