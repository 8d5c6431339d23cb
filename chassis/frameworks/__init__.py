"""Adapters of frameworks, each a module that a model of that framework imports, and nothing else.

Each has `load(path, outputs)`, which returns a model, and `predict(model, given)`, which returns a result for each row
of the frame, or of the arrays, that it is given. The build calls `describe(path, columns, inputs, outputs)`: it returns
fields of the model's metadata that the file says, and raises ValueError if the file is not what is declared. Where
`predict` takes arrays by input, rather than one array, `signature` is `arrays` among what it returns.
"""
