"""Data in and out: auxiliary fields of other programs become shards, shards become arrays for other programs."""
