"""Training the loudspeaker detector."""
