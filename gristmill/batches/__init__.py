"""Every key that is ours beside the transport's: a batch's state, items and outcomes; the workers' beats."""
