"""What a run looks like, for people: contact sheet, movie, loss curve, map of updates, live view, estimate of energy, run.json."""
