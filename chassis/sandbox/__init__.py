"""A root of its own for a program: by namespaces if the kernel gives them, else the next best without privileges."""
