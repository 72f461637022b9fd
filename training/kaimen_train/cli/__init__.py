"""``kaimen-train``: the workshop's command line."""
