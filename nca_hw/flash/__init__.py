"""Images onto boards: what is connected, the programs that write, the question whether it worked, and whole arrays of boards."""
