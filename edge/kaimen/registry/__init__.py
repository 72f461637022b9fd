"""Who is enrolled: the database and everything that guards it."""
