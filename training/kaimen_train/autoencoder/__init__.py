"""The latent space made visible and audible."""
