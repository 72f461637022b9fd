"""Erasing who left, ending what consents no longer cover, and renewing what was stolen."""
