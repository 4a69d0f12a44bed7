"""What a run looks like, for people: contact sheet, animation, loss curve, terminal pictures, run.json."""
