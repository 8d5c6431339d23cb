"""A root of its own for a program: with namespaces if the kernel gives them, else the next best that needs no privileges."""
