"""What a revision holds, whether it is true, and what differs between two."""
