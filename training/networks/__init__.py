"""Encoders as Keras networks; all take log-mel features and end in a point."""
