"""A school in one encrypted file, and back: see docs/use/backup.md."""
