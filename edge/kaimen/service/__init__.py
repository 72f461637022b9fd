"""The gate that ``kaimen run`` keeps open for years: opened, served, told of and reloaded."""
