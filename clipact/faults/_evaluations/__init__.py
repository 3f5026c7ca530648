"""How a model is measured: by a function of the user's, or batch by batch."""
