"""The notebook as a plain script, and the times of the notebook and of the pipeline."""
