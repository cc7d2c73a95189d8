"""One reconcile for each kind: look, build, apply, report."""
