"""Training the encoders that ship."""
