"""A live array, seen through its service ports: bytes to frames, frames to what is known of every cell, shown and recorded."""
