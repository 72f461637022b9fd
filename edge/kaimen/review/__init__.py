"""Doubtful phrases, to be listened to: kept for a while where the operator asks for it."""
