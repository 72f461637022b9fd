"""The files of a school: where each lies, and how another school takes their place."""
