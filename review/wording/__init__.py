"""How numbers and foreign texts are written."""
