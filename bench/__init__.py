"""The notebook's recipe as a plain script, and the timing of the pipeline beside it."""
