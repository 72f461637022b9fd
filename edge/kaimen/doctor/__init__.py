"""What a gate needs, examined line by line: ok, attention or broken, and how to mend it."""
