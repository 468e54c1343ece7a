"""Who works and what was counted: the registry of live workers, the meters and what they add up to."""
