"""Values that change with the step: pure functions of it, so that the step is their only state."""
