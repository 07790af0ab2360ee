"""What the stages are made of; no module here imports a stage or the review."""
