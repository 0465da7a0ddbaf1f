"""Tables, lines and progress bars for a terminal."""
