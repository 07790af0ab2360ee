"""The notebook as a plain script, and a timing of the pipeline beside it."""
