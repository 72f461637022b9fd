"""A newer Kaimen, by the package manager of the system."""
