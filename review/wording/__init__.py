"""How numbers, and texts that are not ours, are written."""
