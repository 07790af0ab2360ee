"""What people run after the pipeline; no stage imports it."""
