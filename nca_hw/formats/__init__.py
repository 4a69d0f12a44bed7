"""Files: readers of published weights, pictures, board files, firmware containers; writing whole or not at all."""
