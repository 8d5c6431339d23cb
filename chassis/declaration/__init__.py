"""What a model, a platform and a Python are: each field, table and check once, for all that read or write them.

Every other room may import this one; it imports nothing of Chassis but `chassis.errors`. The server in an image starts
with it, so a module here imports little, and none `dataclasses`.
"""
