"""How a stage runs: parameters, the edge to the shell, other processes, what DVC takes on trust."""
