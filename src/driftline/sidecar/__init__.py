"""The sidecar: receivers, monitor, exposition, state and the process around them."""
