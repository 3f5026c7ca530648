"""What an inference costs: operations counted, priced and laid out as a table."""
