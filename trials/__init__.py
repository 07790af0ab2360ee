"""Run trials of the pipeline on workers."""
