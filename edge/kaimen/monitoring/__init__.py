"""What a gate did over weeks: whether its scores drift, and what the operator is told of it."""
