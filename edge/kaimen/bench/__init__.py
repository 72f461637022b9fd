"""What ``kaimen bench`` measures, a file for each part."""
