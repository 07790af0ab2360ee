"""The results that a revision holds, whether dvc.lock matches them, and the difference of two revisions."""
