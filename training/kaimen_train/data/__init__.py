"""What is heard in training."""
