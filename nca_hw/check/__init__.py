"""Whether an array can work at all: what can be said of board, genome and grid before anything is built, flashed or wired."""
