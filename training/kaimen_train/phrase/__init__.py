"""Training the phrase encoder."""
