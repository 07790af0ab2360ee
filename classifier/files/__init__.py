"""How a stage writes its outputs, and where."""
