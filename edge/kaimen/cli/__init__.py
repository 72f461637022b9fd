"""The commands of ``kaimen``, a file for each: ``add`` its options, then ``run``."""
