"""From sound to answer, and the daemon around it."""
