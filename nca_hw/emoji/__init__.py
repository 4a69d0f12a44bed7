"""Pictures by name, `emoji:NAME`, for targets: see README.md for their licence."""
