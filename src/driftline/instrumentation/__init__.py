"""What runs in the model's process: it never raises there, never waits there, never grows without bound."""
