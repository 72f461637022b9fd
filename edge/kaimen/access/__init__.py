"""Who may open the door: scores, checks and patience."""
