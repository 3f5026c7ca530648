"""Networks to and from NIR."""
