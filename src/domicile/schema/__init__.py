"""What a declared element is, and every use that follows from its declaration: read, write, walk, compare, explain."""
