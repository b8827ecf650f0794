"""``driftline demo``: a real model, a real shift, and the phone that rings."""
